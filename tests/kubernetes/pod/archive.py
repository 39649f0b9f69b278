"""Orthanc in a pod: the same clients as in tests/apps, but for the browser."""

import json
import sys

from subject import ORTHANC, ORTHANC_HOST, ROOT, app
from world import holds

sys.path.insert(0, f"{ROOT}/tests/apps")

import orthanc_test  # noqa: E402
from gate import Checks  # noqa: E402


def settings(path):
    """Orthanc's settings for a pod: its storage is a volume."""
    wanted = json.load(open(f"{ORTHANC}/orthanc.json"))
    wanted.update(StorageDirectory="/storage", IndexDirectory="/storage", TemporaryDirectory="/storage")
    wanted["DicomWeb"]["Host"] = f"{ORTHANC_HOST}:8443"
    with open(path, "w") as file:
        json.dump(wanted, file)
    return path


def orthanc(world):
    """Scanners, scripts and DICOMweb through the gate of a pod, as from outside a cluster."""
    gate = world.gate("orthanc", ORTHANC, ORTHANC_HOST, 8042)
    gate.settings["app"]["url"] = "http://127.0.0.1:8042"
    workload = app(world.images["orthanc"], port=8042, volumes=[("storage", "/storage"), ("tmp", "/tmp")])
    container = workload["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/system", "port": "http"}, "periodSeconds": 1}
    checks = Checks("orthanc in a pod")
    with world.pod("orthanc", gate.objects(world.injected(workload))) as pod:
        pod.start().until_ready()
        ready = pod.at("ready")
        orthanc_test.page = lambda *_: None
        with open(gate.place.path("gate.log"), "w") as log:  # what `recorded` looks into; nothing of patients may stand there
            log.write(pod.container("anteroom").log())
        orthanc_test.drive(checks, gate.place, gate.behind(pod))
        said = pod.container("anteroom").log()
        checks.that("no patient in the log", "P-0001" not in said and "Example^" not in said)
    holds("every check holds", not checks.broken, checks.broken)
    return f"ready after {ready:.1f} s, {checks.held} checks"
