"""The stand-in of an application in a pod: says what it was told of the caller. It ends at once on SIGTERM, as many do.

usage: app.py serve [ADDRESS] [PORT] | app.py ask URL | app.py job URL SECONDS | app.py issue FOLDER PORT
"""

import functools
import http.server
import json
import os
import signal
import socket
import ssl
import sys
import time
import urllib.parse
import urllib.request


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        time.sleep(float(query.get("wait", ["0"])[0]))
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    address_family = socket.AF_INET

    def handle_error(self, *_):
        pass


def ask(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        print(answer.status, url, flush=True)


def issue(folder, port):
    """An issuer: serves the files of a folder over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("", int(port)), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def main(does, *arguments):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if does == "serve":
        address, port = (arguments[0] if arguments else "127.0.0.1"), int(arguments[1] if len(arguments) > 1 else 3000)
        if ":" in address:
            Server.address_family = socket.AF_INET6
        Server((address, port), App).serve_forever()
    elif does == "ask":
        ask(arguments[0])
    elif does == "job":
        time.sleep(float(arguments[1]))
        ask(arguments[0])
    elif does == "issue":
        issue(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
