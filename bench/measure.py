"""What the benchmarks share: the machine made ready, processes kept apart, CPU time as the kernel counts it."""

import os
import re
import resource
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "apps"))

from gate import ROOT, free_port  # noqa: E402


def spent(process):
    """CPU seconds of all threads of a process so far, system calls included."""
    folder = f"/proc/{process.pid}/task"
    return sum(int(open(f"{folder}/{task}/schedstat").read().split()[0]) for task in os.listdir(folder)) / 1e9


def resident(process):
    """Bytes of memory that a process holds now."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", open(f"/proc/{process.pid}/status").read())[1]) * 1024


def ahead(pid):
    """Keeps what else runs on this machine out of the way, where we may (Linux groups tasks by session)."""
    try:
        with open(f"/proc/{pid}/autogroup", "w") as file:
            file.write("-15")
    except OSError:
        pass


def pinned(cpu):
    return ["taskset", "-c", str(cpu)] if os.cpu_count() > 1 else []


def ready():
    """What is needed is there; Debian's packages are installed where they are not."""
    if os.getpid() != os.getpgid(0):
        os.setsid()
    for command, package in (("wrk", "wrk"), ("nginx", "nginx-light"), ("openssl", "openssl"), ("taskset", "util-linux")):
        if shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin"):
            continue
        print(f"installing {package}", file=sys.stderr)
        root = [] if os.getuid() == 0 else ["sudo", "-n"]
        install = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "install", "-y", "-q",
                   "--no-install-recommends", package]
        if subprocess.run(install, stdout=subprocess.DEVNULL).returncode != 0:
            subprocess.run([*root, "apt-get", "update", "-q"], stdout=subprocess.DEVNULL, check=True)
            subprocess.run(install, stdout=subprocess.DEVNULL, check=True)
    if "ANTEROOM" not in os.environ:
        target = os.environ.get("CARGO_TARGET_DIR", f"{ROOT}/target")
        os.environ["ANTEROOM"] = f"{target}/release/anteroom"
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "-p", "anteroom"], cwd=ROOT, check=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def nginx(place, name, conf, cpu, **values):
    """Starts nginx in the foreground with one of our files."""
    port, folder = free_port(), place.path(name)
    os.mkdir(folder)
    text = open(f"{HERE}/{conf}").read()
    for key, value in {"FOLDER": folder, "PORT": port, **values}.items():
        text = text.replace(f"@{key}@", str(value))
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(text)
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    command = [*pinned(cpu), binary, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    return place.serve(name, port, command), port


def one_suite(place):
    """An environment in which OpenSSL's clients know one cipher suite and one key exchange, so that nobody wins by the choice."""
    with open(place.path("client.cnf"), "w") as file:
        file.write("openssl_conf = o\n[o]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\nMinProtocol = TLSv1.3\n"
                   "Ciphersuites = TLS_AES_128_GCM_SHA256\nGroups = X25519\n")
    return {**os.environ, "OPENSSL_CONF": place.path("client.cnf")}


def machine():
    """The gate's version, and what it ran on."""
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    version = subprocess.run([os.environ["ANTEROOM"], "--version"], capture_output=True, text=True).stdout.strip()
    return version, f"{cpu[1] if cpu else 'unknown CPU'}, {os.cpu_count()} CPUs"


def write(page, name, text):
    """Puts a table between the two marks of a page."""
    old = open(page).read()
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if start not in old or end not in old:
        raise SystemExit(f"{page} has no place for it: `{start}` and `{end}`")
    before, rest = old.split(start)
    with open(page, "w") as file:
        file.write(f"{before}{start}\n\n{text}\n\n{end}{rest.split(end)[1]}")
