"""WebSocket: the Autobahn case files, run by kosoku, through the gate to an echo server, and to that server alone.

Sections 1 to 7 and 10, which are 247 cases: the protocol. Those about speed (9) and compression (12, 13) exercise the echo server.
"""

import glob
import json
import subprocess

GOOD = ("OK", "INFORMATIONAL", "NON-STRICT")


def kosoku(place, binary, name, port):
    out = place.path(f"websocket-{name}")
    subprocess.run([binary, "-x", "9.*", "-x", "12.*", "-x", "13.*", "-p", "4", "-o", out, f"localhost:{port}"], capture_output=True, text=True, timeout=120)
    index = glob.glob(f"{out}/index.json")
    if not index:
        raise SystemExit(f"kosoku did not run against {name}")
    (cases,) = json.load(open(index[0])).values()
    return {case: (one["behavior"], one["behaviorClose"]) for case, one in cases.items()}


def run(gate_for, place, here, venv, free_port):
    """`gate_for` starts a gate before an application's port."""
    python = f"{venv}/bin/python"
    port, plain = free_port(), free_port()
    place.serve("echo", port, [python, f"{here}/echo.py", str(port)])
    gate = gate_for(port)
    place.serve("relay", plain, [python, f"{here}/relay.py", str(plain), str(gate.port), gate.ca])
    alone, through = (kosoku(place, f"{venv}/bin/kosoku", name, one) for name, one in (("alone", port), ("gate", plain)))
    if len(through) < 240:
        raise SystemExit(f"kosoku ran only {len(through)} cases")
    wrong = [(case, f"{' / '.join(got)} (the echo server alone: {' / '.join(alone[case])})") for case, got in through.items()
             if got[0] not in GOOD or got[1] not in ("OK", "INFORMATIONAL")]
    changed = [case for case in through if through[case] != alone[case]]
    return len(through) - len(wrong), len(through), wrong, changed


