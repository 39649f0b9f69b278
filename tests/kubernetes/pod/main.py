"""Runs scenarios in pods and says in one line each what came out. Called by tests/kubernetes/pods."""

import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import archive  # noqa: E402
import images  # noqa: E402
import life  # noqa: E402
import traffic  # noqa: E402
from kubelet import podman  # noqa: E402
from subject import ROOT  # noqa: E402
from gate import Place, binary  # noqa: E402
from world import World  # noqa: E402

# Those that measure nothing under load run beside each other; the others have the machine for themselves.
TOGETHER = {"start and stop": life.start_and_stop, "example P2 by the chart": life.chart, "by the webhook": life.webhook, "Job": life.job, "IPv6 alone": life.ipv6,
            "ways around the gate": life.exposed, "names": life.names, "Orthanc": archive.orthanc}
ALONE = {"reload under load": traffic.reload, "rollout under load": traffic.rollout, "64 MiB and half a CPU": traffic.limits}
LONG = {"IPv6 alone", "names", "Orthanc"}


# What each of them shows, for the page.
SHOWS = {name: scenario.__doc__.strip() for name, scenario in {**TOGETHER, **ALONE}.items()}


def run(world, name, scenario, outcomes):
    began = time.monotonic()
    try:
        said, held = scenario(world), True
    except BaseException as error:  # noqa: BLE001: whatever it was, the others are still run, and this one has failed
        said, held = f"FAILED: {error}" if isinstance(error, AssertionError) else traceback.format_exc(), False
    print(f"   {name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    outcomes[name] = said
    return held


def write(page, outcomes):
    """Puts the table between the two marks of a page."""
    def said(*command):
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()

    start, end = "<!-- tests/kubernetes/pods -->", "<!-- end of tests/kubernetes/pods -->"
    before, rest = open(page).read().split(start)
    rows = [f"| {name} | {SHOWS[name]} | {outcomes[name]} |" for name in SHOWS if name in outcomes]
    lines = [start, "", "| scenario | what is tried | what was measured |", "|---|---|---|", *rows, "",
             f"`tests/kubernetes/pods long`, {said(binary(), '--version')}, commit {said('git', 'rev-parse', '--short', 'HEAD')}; "
             f"{said('podman', '--version')}, {said('runc', '--version').splitlines()[0]}, {os.cpu_count()} CPUs.", "", end]
    with open(page, "w") as file:
        file.write(before + "\n".join(lines) + rest.split(end)[1])


def nginx_conf(path):
    """nginx of the benchmark, for a pod: 1 KiB of JSON for each request, and a health check."""
    text = open(f"{ROOT}/bench/app.conf").read()
    for key, value in {"FOLDER": "/tmp", "PORT": "3000", "BODY": '{"record":"' + "x" * 1011 + '"}'}.items():
        text = text.replace(f"@{key}@", value)
    with open(path, "w") as file:
        file.write(re.sub(r"(?m)^error_log .*$", "error_log stderr;", text))
    return path


def main(image, mode, *wanted):
    scenarios = {**TOGETHER, **ALONE}
    chosen = [name for name in scenarios if name in wanted or not wanted and (mode == "long" or name not in LONG)]
    if unknown := set(wanted) - set(scenarios):
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}; there are: {', '.join(scenarios)}")
    made, held, suffix, outcomes = [], True, os.getpid(), {}
    try:
        with Place() as place:
            kinds = {"app": images.python, "nginx": lambda name: images.nginx(name, nginx_conf(place.path("nginx.conf")))}
            if "Orthanc" in chosen:
                kinds["orthanc"] = lambda name: images.orthanc(name, archive.settings(place.path("orthanc.json")))
            for kind, make in kinds.items():
                made.append(make(f"localhost/anteroom-pods/{kind}:{suffix}"))
            world = World(place, image, dict(zip(kinds, made)))

            def interrupted(number, _):
                world.__exit__()
                for name in made:
                    podman("rmi", "-f", name, check=False)
                shutil.rmtree(place.folder, ignore_errors=True)
                os._exit(128 + number)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, interrupted)
            with world, concurrent.futures.ThreadPoolExecutor(3) as pool:
                results = [pool.submit(run, world, name, scenarios[name], outcomes) for name in chosen if name in TOGETHER]
                held = all([one.result() for one in results])
                held = all([run(world, name, scenarios[name], outcomes) for name in chosen if name in ALONE]) and held
    finally:
        for name in made:
            podman("rmi", "-f", name, check=False)
    if held and "WRITE" in os.environ:
        write(os.environ["WRITE"], outcomes)
    if mode != "long" and not wanted:
        print(f"   not run, but in `tests/kubernetes/pods long`: {', '.join(name for name in scenarios if name in LONG)}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
