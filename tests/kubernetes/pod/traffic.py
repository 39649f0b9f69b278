"""What happens while requests come all the time: new certificates and policies, new pods, little memory and half a CPU."""

import os
import re
import ssl
import subprocess
import threading
import time

from load import Balancer, Load
from subject import P2_HOST, allowed, people
from world import cgroup, holds, metrics, shown

NOTICE = 1.0  # seconds until the rest of the cluster has heard of a pod that is ready, or is no more


def reload(world):
    """Two certificates and two policies, swapped through `..data` while requests come."""
    gate = world.gate("reload")
    workload = world.injected(world.app("serve"))
    first = gate.objects(workload)
    with world.pod("reload", first) as pod:
        pod.start().until_ready()
        tokens = people(gate.behind(pod))
        tls, took = f"{gate.folder}/tls", []
        balancer = Balancer(NOTICE)
        balancer.pods.append(pod)
        time.sleep(NOTICE)
        load = Load(balancer, P2_HOST, gate.ca, allowed(tokens))

        def seen(what, objects, ask):
            began = time.monotonic()
            pod.swap(objects)
            pod.until(what, ask, 20)
            took.append(time.monotonic() - began)
            time.sleep(1)

        with load:
            for turn in (1, 2):
                tls = gate.renew(f"tls-{turn}")
                load.context.load_verify_locations(f"{tls}/ca.crt")
                leaf = open(f"{tls}/tls.crt").read().split("-----END")[0].strip()
                seen("the new certificate", gate.objects(workload, tls), lambda leaf=leaf: shown(pod, P2_HOST).strip() == leaf)
                word, wanted = (("public", 200), ("authenticated", 401))[turn - 1]
                name = "prescriptions.yaml"
                gate.policies[name] = re.sub(r"(path: /api/pharmacies\n    methods: \{ GET: )\w+", rf"\g<1>{word}", gate.policies[name])
                seen("the new policy", gate.objects(workload, tls), lambda wanted=wanted: gate.ask("GET", "/api/pharmacies").status == wanted)
        holds("no request failed", not load.failed, load.failed[:3])
        holds("nothing was refused", metrics(pod).get("anteroom_reload_failed", 0) == 0)
        holds("the same gate all the time", pod.container("anteroom").restarts == 0)
    return f"{load.said()}; seen after {min(took):.1f} to {max(took):.1f} s"


def rollout(world):
    """Two pods, replaced one by one while requests come."""
    gate = world.gate("rollout")
    objects = gate.objects(world.injected(world.app("serve")))
    tokens = people(gate)
    balancer = Balancer(NOTICE)
    load = Load(balancer, P2_HOST, gate.ca, allowed(tokens))
    with world.pod("old-1", objects) as one, world.pod("old-2", objects) as two, \
            world.pod("new-1", objects) as three, world.pod("new-2", objects) as four:
        for pod in (one, two):
            balancer.pods.append(pod.start().until_ready())
        time.sleep(NOTICE + 0.2)
        with load:
            leaving = []
            time.sleep(1)
            for old, new in ((one, three), (two, four)):
                balancer.pods.append(new.start())
                new.until_ready()
                time.sleep(NOTICE)  # as long as a Deployment needs to count it as available, and others to hear of it
                leaving.append(threading.Thread(target=old.leave))
                leaving[-1].start()
            for thread in leaving:
                thread.join()
            time.sleep(1)
        holds("no request failed", not load.failed, load.failed[:3])
        holds("every pod had its share", len(load.served) == 4, load.served)
        holds("the gates ended well", all(pod.at("stopped 0", "anteroom") for pod in (one, two)))
    return load.said()


def limits(world):
    """64 MiB and half a CPU, under more load than that carries: slower, but nothing fails."""
    plenty = {"rate": "100000/s", "burst": 100000}
    gate = world.gate("limits")
    gate.settings.setdefault("limits", {}).update(per_address=plenty, body="1MiB")
    workload = world.injected(world.app(volumes=[("tmp", "/tmp")]), memory_limit="64Mi")
    spec = workload["spec"]["template"]["spec"]
    spec["containers"][0]["image"] = world.images["nginx"]
    spec["initContainers"][0]["resources"]["limits"]["cpu"] = "500m"  # as a quota of the namespace may ask for
    with world.pod("limits", gate.objects(workload)) as pod:
        pod.start().until_ready()
        tokens = people(gate.behind(pod))
        balancer = Balancer(NOTICE)
        balancer.pods.append(pod)
        time.sleep(NOTICE)
        calm = Load(balancer, P2_HOST, gate.ca, allowed(tokens), clients=8, pause=0.1)
        with calm:
            time.sleep(6)
        holds("no request failed", not calm.failed, calm.failed[:3])
        body = gate.place.path("body")
        with open(body, "wb") as file:
            file.write(os.urandom(512 * 1024))
        said = []
        for connections, streams, number, path, more in (
                (64, 1, 6000, "/api/prescriptions/rx-7", ["--h1"]), (32, 8, 6000, "/api/prescriptions/rx-7", []),
                (32, 4, 512, "/api/prescriptions", ["-d", body, "-H", "content-type: application/octet-stream"])):
            command = ["h2load", "-n", str(number), "-c", str(connections), "-m", str(streams), "--connect-to", f"{pod.ip}:8443", *more,
                       "-H", f"authorization: Bearer {tokens['ada']}", f"https://{P2_HOST}:8443{path}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
            succeeded = re.search(r"(\d+) succeeded, (\d+) failed", done)
            holds("all requests succeed under more load than it carries", succeeded and int(succeeded[1]) == number and f"{number} 2xx" in done, done[-800:])
            rate = float(re.search(r"([\d.]+) req/s", done)[1])
            said.append(f"{rate:.0f}/s")
        peak = cgroup(pod, "anteroom", "memory", "memory.max_usage_in_bytes", "memory.peak")
        holds("it was never out of memory", pod.container("anteroom").restarts == 0 and pod.at("out of memory", "anteroom") is None)
        holds("one worker for half a CPU", len(threads(pod, "worker-")) == 1, threads(pod, "worker-"))
        resident = int(next(line.split()[1] for line in open(f"/proc/{pod.container('anteroom').pid}/status") if line.startswith("VmHWM")))
    return (f"eight calm clients: {calm.said()}; at its most {said[0]} on 64 connections of HTTP/1.1, {said[1]} on 256 streams, "
            f"{said[2]} of 512 KiB; peak {peak / 2**20:.0f} MiB of 64, {resident / 1024:.0f} resident")


def threads(pod, start):
    folder = f"/proc/{pod.container('anteroom').pid}/task"
    found = (open(f"{folder}/{task}/comm").read().strip() for task in os.listdir(folder))
    return [name for name in found if name.startswith(start)]
