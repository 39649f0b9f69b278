#!/usr/bin/env python3
"""A WebSocket echo of PyPI's `websockets`, behind the gate. usage: echo.py PORT"""

import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(one):
    async for message in one:
        await one.send(message)


async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=None, ping_interval=None, close_timeout=2) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
