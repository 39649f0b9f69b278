"""Runs what the chart renders for a trial, without a cluster: the commands of its init containers, the sample clinic and the gate, in a
folder in place of the pod's volumes, on free ports.
"""

import subprocess

from gate import Place, free_port, until


def trial(made, binary, faults):
    spec = next(one for one in made if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    maps = [one["data"] for one in made if one["kind"] == "ConfigMap"]
    https, health, app = free_port(), free_port(), free_port()
    with Place() as place:
        def moved(text):
            for old, new in (("/etc/anteroom", place.path("etc")), ("/var/lib/anteroom/audit", place.path("audit")), ("/run/anteroom", place.path("run")),
                             ("[::]:8443", f"127.0.0.1:{https}"), ("[::]:9900", f"127.0.0.1:{health}"), ("127.0.0.1:3000", f"127.0.0.1:{app}")):
                text = text.replace(old, new)
            return text

        subprocess.run(["mkdir", "-p", place.path("run"), place.path("etc", "config"), place.path("etc", "policies")], check=True)
        for data in maps:
            for name, text in data.items():
                open(place.path("etc", "config" if name == "config.yaml" else "policies", name), "w").write(moved(text))
        said = {}
        for container in spec["initContainers"]:
            if container["name"].startswith("anteroom-trial-"):
                done = subprocess.run([binary, *map(moved, container["args"])], capture_output=True, text=True)
                faults.that(f"{container['name']} does its work", done.returncode == 0, done.stderr)
                said[container["name"]] = done.stdout.strip()
        clinic = next(one for one in spec["containers"] if one["name"] == "app")
        place.serve("app", app, [binary, *map(moved, clinic["args"])])
        gate = next(one for one in spec["initContainers"] if one["name"] == "anteroom")
        place.serve("gate", https, [binary, *map(moved, gate["args"])])

        def ready():
            return subprocess.run([binary, "healthcheck", "--address", f"localhost:{health}"], capture_output=True).returncode == 0

        faults.that("the gate of a trial gets ready", until("the gate", ready))
        token = ["--header", f"authorization: Bearer {said['anteroom-trial-token']}"]
        for path, words, status in (("/", [], "200"), ("/api/patients", [], "401"), ("/api/patients", token, "200"), ("/api/users", token, "403"),
                                    ("/api/patients", [*token, "--header", "x-clinic: hillside"], "403"), ("/debug/error", token, "404")):
            done = subprocess.run(["curl", "--silent", "--cacert", place.path("etc", "tls", "ca.crt"), "--output", place.path("body"), "--write-out",
                                   "%{http_code}", *words, f"https://localhost:{https}{path}"], capture_output=True, text=True)
            faults.that(f"a trial answers {path} with {status}", done.stdout == status, f"{done.stdout} {done.stderr}")
