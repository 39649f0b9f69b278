"""A stand-in for the kubelet: runs one pod of a manifest on podman and runc, without a cluster.

It decides what a kubelet decides: the order in which containers start (sidecars wait for their startup probe, plain init
containers for their end), when a pod is ready, when a container is started again, and who is told to stop when. Probes come
from outside, to the pod's address. It never talks to an API server: what admission would refuse is for other tests.
"""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from volumes import Volumes

PATIENCE = 60  # seconds, the longest wait for a state of a pod


class Refused(Exception):
    """What a kubelet would refuse to start, in its words."""


def podman(*arguments, check=True):
    done = subprocess.run(["podman", *map(str, arguments)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Refused(f"podman {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout.strip()


class Container:
    """One container of the pod, through all of its lives."""

    def __init__(self, pod, spec, kind):
        self.pod, self.spec, self.kind, self.name = pod, spec, kind, spec["name"]
        self.id = f"{pod.name}-{self.name}"
        self.pid, self.restarts = 0, 0
        self.started, self.ready, self.stopping = False, False, False

    def run(self):
        command = ["run", "-d", "--replace", "--pod", self.pod.name, "--name", self.id, *self.security(), *self.limits()]
        for entry in self.spec.get("env", []):
            field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            command += ["--env", f"{entry['name']}={self.pod.field(field) if field else entry.get('value', '')}"]
        for mount in self.spec.get("volumeMounts", []):
            if "subPath" in mount:
                raise Refused(f"{self.name}: subPath never sees a change of its files")
            command += ["-v", f"{self.pod.volumes.path(mount['name'])}:{mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"]
        if "command" in self.spec:
            command += ["--entrypoint", json.dumps(self.spec["command"])]
        podman(*command, self.spec["image"], *self.spec.get("args", []))
        self.pid = int(podman("inspect", "--format", "{{.State.Pid}}", self.id))
        self.pod.note("started", self.name)

    def security(self):
        """The security context, the pod's and its own, as podman's options."""
        context = {**self.pod.spec.get("securityContext", {}), **self.spec.get("securityContext", {})}
        user = context.get("runAsUser")
        if context.get("runAsNonRoot"):
            image = podman("image", "inspect", "--format", "{{.Config.User}}", self.spec["image"]).split(":")[0]
            runs_as = str(user) if user is not None else image or "0"
            if not runs_as.isdigit() or int(runs_as) == 0:
                raise Refused(f"CreateContainerConfigError {self.name}: runAsNonRoot, but the user is {runs_as}")
        options = []
        if user is not None:
            options += ["--user", f"{user}:{context.get('runAsGroup', 0)}"]
        if "fsGroup" in context:
            options += ["--group-add", str(context["fsGroup"])]
        if context.get("readOnlyRootFilesystem"):
            options += ["--read-only", "--read-only-tmpfs=false"]
        if context.get("allowPrivilegeEscalation") is False:
            options += ["--security-opt", "no-new-privileges"]
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            options += ["--security-opt", "seccomp=unconfined"]
        for kind, option in (("drop", "--cap-drop"), ("add", "--cap-add")):
            for capability in context.get("capabilities", {}).get(kind, []):
                options += [option, capability]
        return options

    def limits(self):
        limits, options = self.spec.get("resources", {}).get("limits", {}), []
        if "memory" in limits:
            options += ["--memory", re.sub("i$", "", str(limits["memory"])).lower()]
        if "cpu" in limits:
            cpu = str(limits["cpu"])
            options += ["--cpus", str(float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu))]
        return options

    def running(self):
        return self.pid > 0 and os.path.exists(f"/proc/{self.pid}")

    def ended(self):
        """Exit code and whether memory ran out, of a container that has ended."""
        podman("wait", self.id, check=False)
        code, killed = podman("inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", self.id).split()
        return int(code), killed == "true"

    def log(self):
        done = subprocess.run(["podman", "logs", self.id], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout

    def port(self, port):
        if isinstance(port, int):
            return port
        # By name it is a port of this container: a kubelet does not look at the others.
        for one in self.spec.get("ports", []):
            if one.get("name") == port:
                return one["containerPort"]
        self.pod.note(f"no port `{port}`", self.name)
        raise OSError(f"couldn't find port: {port}")

    def probe(self, probe):
        """One try of a probe, from the node's side."""
        patience = probe.get("timeoutSeconds", 1)
        try:
            if "httpGet" in probe:
                get, kind, more = probe["httpGet"], http.client.HTTPConnection, {}
                if get.get("scheme") == "HTTPS":
                    kind, more = http.client.HTTPSConnection, {"context": ssl._create_unverified_context()}
                asked = kind(get.get("host") or self.pod.ip, self.port(get["port"]), timeout=patience, **more)
                asked.request("GET", get.get("path", "/"), headers={"User-Agent": "kube-probe/1.34"})
                return 200 <= asked.getresponse().status < 400
            if "tcpSocket" in probe:
                socket.create_connection((self.pod.ip, self.port(probe["tcpSocket"]["port"])), patience).close()
                return True
            if "exec" in probe:
                command = ["podman", "exec", self.id, *probe["exec"]["command"]]
                return subprocess.run(command, capture_output=True, timeout=patience + 2).returncode == 0
        except (OSError, http.client.HTTPException, subprocess.TimeoutExpired):
            return False
        raise Refused(f"{self.name}: a probe of a kind that is not tried here: {sorted(probe)}")

    def live(self):
        """Starts it and looks after it until the pod stops."""
        self.run()
        threading.Thread(target=self.look_after, daemon=True).start()

    def look_after(self):
        self.starts_up()
        misses = {"readinessProbe": 0, "livenessProbe": 0}
        due = dict.fromkeys(misses, 0.0)
        while not self.stopping:
            if not self.running():
                self.ready = False
                code, killed = self.ended()
                self.pod.note("out of memory" if killed else f"exited {code}", self.name)
                if self.stopping or self.kind == "main" and self.pod.spec.get("restartPolicy", "Always") != "Always":
                    return
                time.sleep(min(10, self.restarts))  # at once, then after a while
                self.restarts += 1
                if self.stopping:
                    return
                self.run()
                self.starts_up()
            for kind in misses:
                probe = self.spec.get(kind)
                if time.monotonic() < due[kind]:
                    continue
                due[kind] = time.monotonic() + (probe or {}).get("periodSeconds", 10)
                misses[kind] = 0 if probe is None or self.probe(probe) else misses[kind] + 1
                failed = misses[kind] >= (probe or {}).get("failureThreshold", 3)
                if kind == "readinessProbe" and (failed or misses[kind] == 0):
                    self.ready = misses[kind] == 0 and self.running()
                elif failed:
                    self.pod.note("not live", self.name)
                    podman("stop", "-t", 5, self.id, check=False)
            self.pod.looks()
            time.sleep(0.05)
        self.ready = False

    def starts_up(self):
        probe, tries = self.spec.get("startupProbe"), 0
        self.started = probe is None
        while not self.started and self.running() and not self.stopping:
            self.started = self.probe(probe)
            tries += 1
            if not self.started and tries >= probe.get("failureThreshold", 3):
                self.pod.note("did not start up", self.name)
                podman("kill", self.id, check=False)
                return
            if not self.started:
                # Looked at more often than asked for: a period of a second is a long time for a test.
                time.sleep(min(0.2, probe.get("periodSeconds", 10)))
        if self.started and probe:
            self.pod.note("started up", self.name)

    def before_stop(self):
        hook = self.spec.get("lifecycle", {}).get("preStop")
        if not hook or not self.running():
            return
        self.pod.note("preStop", self.name)
        if "sleep" in hook:
            time.sleep(min(hook["sleep"]["seconds"], self.pod.grace))
        elif "exec" in hook:
            podman("exec", self.id, *hook["exec"]["command"])
        else:
            self.probe({**hook, "timeoutSeconds": self.pod.grace})
        self.pod.note("preStop done", self.name)

    def stop(self, deadline):
        self.stopping = True
        if not self.running():
            return
        self.pod.note("SIGTERM", self.name)
        podman("kill", "-s", "TERM", self.id, check=False)
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.running():
            self.pod.note("SIGKILL", self.name)
            podman("kill", self.id, check=False)
        self.pod.note(f"stopped {self.ended()[0]}", self.name)


class Pod:
    """A pod that runs: `objects` are its workload and the ConfigMaps and Secrets that it names."""

    def __init__(self, name, objects, network, claims, run="", v6=False):
        work = next(one for one in objects if one["kind"] in ("Pod", "Deployment", "StatefulSet", "Job"))
        template = work if work["kind"] == "Pod" else work["spec"]["template"]
        self.name, self.spec = name, template["spec"]
        self.meta = {"name": name, "namespace": "default", **template.get("metadata", {})}
        self.grace = self.spec.get("terminationGracePeriodSeconds", 30)
        self.network, self.run, self.v6, self.ip = network, run, v6, None
        self.events, self.began, self.lock = [], time.monotonic(), threading.Lock()
        self.routes = [(0.0, False)]  # since when traffic may come, as a cluster's endpoints would say
        self.leaving = False
        self.place = tempfile.mkdtemp(prefix="pod-", dir=os.path.dirname(claims))
        os.chmod(self.place, 0o755)
        folder = os.path.join(self.place, name)
        os.mkdir(folder)
        self.volumes = Volumes(folder, self.spec, objects, claims, work["spec"].get("volumeClaimTemplates", ()))
        self.sidecars, self.mains, self.inits = [], [], []

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        for one in self.sidecars + self.mains:
            one.stopping = True
        if failed:
            print(f"--- pod {self.name}\n{self.story()}")
            for one in self.inits + self.sidecars + self.mains:
                print(f"--- the end of the log of {one.name}\n{one.log()[-1500:]}")
        podman("pod", "rm", "-f", "-t", 0, self.name, check=False)
        shutil.rmtree(self.place, ignore_errors=True)

    def note(self, what, who=""):
        with self.lock:
            self.events.append((time.monotonic() - self.began, what, who))

    def story(self):
        return "\n".join(f"[{at:7.2f}] {what} {who}".rstrip() for at, what, who in self.events)

    def at(self, what, who=""):
        """When something happened for the last time, in seconds since the pod began; None where it did not."""
        return next((at for at, said, whose in reversed(self.events) if (said, whose) == (what, who)), None)

    def order(self, *steps):
        """Whether these steps, `(what, who)`, happened in this order."""
        times = [self.at(*step) for step in steps]
        return None not in times and times == sorted(times)

    def field(self, path):
        known = {"metadata.name": self.name, "metadata.namespace": "default", "status.podIP": self.ip, "status.podIPs": self.ip}
        if path in known:
            return known[path]
        kind, key = re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", path).groups()
        return self.meta.get(kind, {}).get(key, "")

    def container(self, name):
        return next(one for one in self.sidecars + self.mains + self.inits if one.name == name)

    @property
    def ready(self):
        return bool(self.mains) and all(one.ready for one in self.sidecars + self.mains)

    def looks(self):
        """Notes when traffic may come, and when no longer."""
        with self.lock:
            now = self.ready and not self.leaving
            if now != self.routes[-1][1]:
                self.routes.append((time.monotonic(), now))
                self.events.append((time.monotonic() - self.began, "ready" if now else "not ready", ""))

    def takes_traffic(self, delay):
        """Whether the rest of the cluster thinks so, which hears of everything `delay` seconds late."""
        moment = time.monotonic() - delay
        return next(state for since, state in reversed(self.routes) if since <= moment or since == 0.0)

    def start(self):
        """Starts the containers in a kubelet's order; returns when the main ones run."""
        podman("pod", "create", "--name", self.name, "--label", f"run={self.run}", "--network", self.network)
        podman("pod", "start", self.name)
        infra = podman("pod", "inspect", "--format", "{{.InfraContainerID}}", self.name)
        settings = json.loads(podman("inspect", infra))[0]["NetworkSettings"]["Networks"][self.network]
        self.ip = settings["GlobalIPv6Address" if self.v6 else "IPAddress"]
        self.volumes.write()
        for spec in self.spec.get("initContainers", []):
            if spec.get("restartPolicy") == "Always":
                self.sidecars.append(one := Container(self, spec, "sidecar"))
                one.live()
                self.until(f"{one.name} to start up", lambda one=one: one.started)
                continue
            if any(key.endswith("Probe") or key == "lifecycle" for key in spec):
                raise Refused(f"{spec['name']}: an init container that is no sidecar has neither probes nor hooks")
            self.inits.append(one := Container(self, spec, "init"))
            one.run()
            code, _ = one.ended()
            self.note(f"exited {code}", one.name)
            if code != 0:
                raise Refused(f"init container {one.name} ended with {code}: {one.log()[-1000:]}")
        for spec in self.spec["containers"]:
            self.mains.append(one := Container(self, spec, "main"))
        for one in self.mains:
            one.live()
        return self

    def until(self, what, ask, patience=PATIENCE):
        end = time.monotonic() + patience
        while not ask():
            if time.monotonic() > end:
                raise Refused(f"{self.name}: waited in vain for {what}")
            time.sleep(0.02)

    def until_ready(self):
        self.until("the pod to be ready", lambda: self.ready and self.routes[-1][1])
        return self

    def swap(self, objects):
        """ConfigMaps and Secrets have changed, and the volumes follow."""
        self.volumes.objects = objects
        self.volumes.write(first=False)
        self.note("volumes swapped")

    def leave(self):
        """The pod is deleted: hooks at once, SIGTERM to the main containers, then to the sidecars, the last one first."""
        self.leaving = True
        self.looks()
        self.note("deleted")
        deadline = time.monotonic() + self.grace
        hooks = [threading.Thread(target=one.before_stop) for one in self.sidecars]
        ends = [threading.Thread(target=lambda one=one: (one.before_stop(), one.stop(deadline))) for one in self.mains]
        for thread in hooks + ends:
            thread.start()
        for thread in ends + hooks:
            thread.join()
        for one in reversed(self.sidecars):
            one.stop(deadline)
        self.note("gone")

    def complete(self):
        """Waits until the main containers of a Job have ended, ends the sidecars, and says with which code it ended."""
        self.until("the main containers to end", lambda: not any(one.running() for one in self.mains))
        codes = [one.ended()[0] for one in self.mains]
        self.note("completed")
        for one in reversed(self.sidecars):
            one.stop(time.monotonic() + self.grace)
        self.note("gone")
        return max(codes)
