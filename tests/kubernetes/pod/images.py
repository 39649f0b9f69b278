"""Images of applications, put together from files of this machine: nothing is pulled from a registry."""

import glob
import json
import os
import subprocess
import tarfile
import tempfile

from kubelet import podman

HERE = os.path.dirname(os.path.abspath(__file__))
USER = 1000  # whom the applications run as; never the gate's user


def libraries(*binaries):
    """The shared libraries that programs and modules need, and the loader."""
    found = set()
    for binary in binaries:
        for line in subprocess.run(["ldd", binary], capture_output=True, text=True).stdout.splitlines():
            found |= {word for word in line.split() if word.startswith("/")}
    return found


def image(name, entrypoint, paths, more=None):
    """Makes an image of files and folders of this machine, where they are; `more` puts files elsewhere."""
    def plain(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return None if "/__pycache__" in entry.name or "/test/" in entry.name else entry

    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(file.name, "w", dereference=True) as archive:
            for path in sorted(paths):
                archive.add(path, filter=plain)
            for inside, outside in (more or {}).items():
                archive.add(outside, inside, filter=plain)
        podman("import", "-q", "--change", f"USER {USER}:{USER}", "--change", f"ENTRYPOINT {json.dumps(entrypoint)}", file.name, name)
    return name


def python(name):
    """Python's standard library and the stand-in of an application (app.py)."""
    interpreter = os.path.realpath("/usr/bin/python3")
    library = f"/usr/lib/{os.path.basename(interpreter)}"
    modules = [f"{library}/{entry}" for entry in os.listdir(library)
               if entry not in ("test", "idlelib", "lib2to3", "ensurepip", "tkinter", "pydoc_data", "dist-packages")
               and not entry.startswith(("config-", "sitecustomize"))]
    extensions = glob.glob(f"{library}/lib-dynload/*.so")
    return image(name, [interpreter, "/app.py"], {interpreter, *modules, *libraries(interpreter, *extensions)},
                 {"/app.py": f"{HERE}/app.py"})


def nginx(name, conf):
    """Debian's nginx with a configuration of ours: an application that is never the slow one."""
    return image(name, ["/usr/sbin/nginx", "-e", "stderr", "-c", "/nginx.conf"],
                 {"/usr/sbin/nginx", *libraries("/usr/sbin/nginx")},
                 {"/nginx.conf": conf, "/etc/passwd": f"{HERE}/passwd", "/etc/group": f"{HERE}/group"})


def orthanc(name, settings):
    """Debian's Orthanc with its DICOMweb."""
    binary, plugin = "/usr/sbin/Orthanc", "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
    real = [binary, plugin, "/etc/localtime", *glob.glob("/usr/share/libdcmtk*"), *glob.glob("/usr/lib/locale/C.*")]
    return image(name, [binary, "/orthanc.json"], {*real, *libraries(binary, plugin)}, {"/orthanc.json": settings})
