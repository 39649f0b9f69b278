#!/usr/bin/env python3
"""TLS for a client that speaks none: takes connections on loopback and opens one by TLS to the gate for each.

usage: relay.py PORT GATE_PORT CA. Bytes and ends of streams pass as they come, both ways, but
for one thing: kosoku is no browser and sends no `Origin`, without which the gate takes no WebSocket from somebody unknown.
So the relay adds that of the page that it would be.
"""

import asyncio
import ssl
import sys


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main():
    port, gate, ca = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["http/1.1"])

    async def pass_on(reader, writer):
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", gate, ssl=context, server_hostname="localhost")
        except OSError:
            writer.close()
            return
        ours.write((await reader.readline()) + f"Origin: https://localhost:{port}\r\n".encode())
        await asyncio.gather(copy(reader, ours), copy(theirs, writer))

    server = await asyncio.start_server(pass_on, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
