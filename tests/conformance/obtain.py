"""Gets what a suite needs by its package name, and keeps it in a folder outside the repository."""

import os
import shutil
import subprocess
import sys
import tarfile

import packages
from packages import CACHE, quietly

HOME = f"{CACHE}/conformance"
HERE = os.path.dirname(os.path.abspath(__file__))


def command(*arguments, **options):
    print(f"installing: {' '.join(arguments)}", file=sys.stderr)
    quietly(*arguments, **options)


def same(stamp, source):
    """Whether what was installed is what the file asks for now."""
    return os.path.exists(stamp) and open(stamp).read() == open(source).read()


def python():
    """A virtual environment with the packages of requirements.txt."""
    venv, wanted = f"{HOME}/venv", f"{HERE}/requirements.txt"
    if not same(f"{venv}/installed", wanted):
        command(sys.executable, "-m", "venv", "--clear", venv)
        command(f"{venv}/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted)
        shutil.copy(wanted, f"{venv}/installed")
    return venv


def source(name, version):
    """The source archive of a package of PyPI, unpacked."""
    folder = f"{HOME}/{name}-{version}"
    if not os.path.isdir(folder):
        os.makedirs(HOME, exist_ok=True)
        command(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:", "-d", HOME,
                f"{name}=={version}")
        with tarfile.open(f"{HOME}/{name}-{version}.tar.gz") as archive:
            archive.extractall(f"{HOME}/unpacked", filter="data")
        os.rename(f"{HOME}/unpacked/{name}-{version}", folder)
    return folder


def node():
    """A folder with the packages of package.json."""
    return packages.node(f"{HOME}/node", f"{HERE}/package.json")


def debian(package):
    """The version of an installed package."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
