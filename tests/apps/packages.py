"""Gets what a test needs by its package name, from the system, PyPI and npm, and keeps the latter two in folders outside the repository."""

import glob
import os
import shutil
import subprocess
import sys

CACHE = os.environ.get("APPS_CACHE", os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "anteroom-tests"))


class Missing(Exception):
    """It is not to be had here; the reason. What needs it is skipped, and says so."""


def quietly(*command, errors=False, **more):
    """What a command says, with what it says on standard error where `errors`."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, **more)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"`{' '.join(command[:4])} ..` failed: {said[-1] if said else done.returncode}")
    return done.stdout + (done.stderr if errors else "")


def system(wanted, *packages):
    """Where a command, or a file (with `*`), of the system is. Its packages are installed where it is missing, and the servers
    in them are never started as services."""
    def found():
        return shutil.which(wanted, path=f"{os.environ['PATH']}:/usr/sbin") or next(iter(glob.glob(wanted)), None)

    if not found():
        if not shutil.which("apt-get"):
            raise Missing(f"`{wanted}` is not there, nor apt-get")
        print(f"installing {' '.join(packages)}", file=sys.stderr, flush=True)
        root = [] if os.getuid() == 0 else ["sudo", "-n"]
        install = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
        try:
            quietly(*install)
        except Missing:
            quietly(*root, "apt-get", "update", "-q")
            quietly(*install)
    return found() or missing(f"`{packages[0]}` brings no `{wanted}`")


def missing(reason):
    raise Missing(reason)


def python(home, module, *packages):
    """The interpreter of the environment in this folder, which has these packages."""
    interpreter = f"{home}/bin/python"
    if not os.path.exists(interpreter):
        quietly(sys.executable, "-m", "venv", home)
    if subprocess.run([interpreter, "-c", f"import {module}"], capture_output=True).returncode != 0:
        print(f"installing {' '.join(packages)} into {home}", file=sys.stderr, flush=True)
        quietly(interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages)
    return interpreter


def node(home, wanted):
    """A folder with the packages of this package.json. Their own scripts, which fetch things from elsewhere, are not run."""
    system("node", "nodejs")
    system("npm", "npm")
    stamp = f"{home}/installed"
    if not (os.path.exists(stamp) and open(stamp).read() == open(wanted).read()):
        print(f"installing the packages of {os.path.relpath(wanted)} into {home}", file=sys.stderr, flush=True)
        os.makedirs(home, exist_ok=True)
        shutil.copy(wanted, f"{home}/package.json")
        quietly("npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", cwd=home)
        shutil.copy(wanted, stamp)
    return home
