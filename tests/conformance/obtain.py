"""Gets what a suite needs by its package name, and keeps it in a folder outside the repository."""

import os
import shutil
import subprocess
import sys
import tarfile

CACHE = os.path.join(os.environ.get("APPS_CACHE", os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "anteroom-tests")),
                     "conformance")
HERE = os.path.dirname(os.path.abspath(__file__))


class Missing(Exception):
    """It cannot be obtained here: the suite is skipped, and says so."""


def command(*arguments, **options):
    print(f"installing: {' '.join(arguments)}", file=sys.stderr)
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from None
    if done.returncode != 0:
        raise Missing(f"`{' '.join(arguments)}`: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")


def same(stamp, source):
    """Whether what was installed is what the file asks for now."""
    return os.path.exists(stamp) and open(stamp).read() == open(source).read()


def python():
    """A virtual environment with the packages of requirements.txt."""
    venv, wanted = f"{CACHE}/venv", f"{HERE}/requirements.txt"
    if not same(f"{venv}/installed", wanted):
        command(sys.executable, "-m", "venv", "--clear", venv)
        command(f"{venv}/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted)
        shutil.copy(wanted, f"{venv}/installed")
    return venv


def source(name, version):
    """The source archive of a package of PyPI, unpacked."""
    folder = f"{CACHE}/{name}-{version}"
    if not os.path.isdir(folder):
        os.makedirs(CACHE, exist_ok=True)
        command(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:", "-d", CACHE,
                f"{name}=={version}")
        with tarfile.open(f"{CACHE}/{name}-{version}.tar.gz") as archive:
            archive.extractall(f"{CACHE}/unpacked", filter="data")
        os.rename(f"{CACHE}/unpacked/{name}-{version}", folder)
    return folder


def node():
    """A folder with the packages of package.json. Their own scripts, which fetch lists from elsewhere, are not run."""
    folder, wanted = f"{CACHE}/node", f"{HERE}/package.json"
    if not shutil.which("node"):
        raise Missing("there is no `node`")
    if not same(f"{folder}/installed", wanted):
        os.makedirs(folder, exist_ok=True)
        shutil.copy(wanted, f"{folder}/package.json")
        command("npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", cwd=folder)
        shutil.copy(wanted, f"{folder}/installed")
    return folder


def system(name, package):
    """A command of one of Debian's packages."""
    if shutil.which(name):
        return
    root = [] if os.getuid() == 0 else ["sudo", "-n"]
    install = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    if not shutil.which("apt-get"):
        raise Missing(f"there is no `{name}`")
    try:
        command(*install)
    except Missing:
        command(*root, "apt-get", "update", "-q")
        command(*install)


def debian(package):
    """The version of an installed package."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
