"""TLS: sslyze against Mozilla's "modern" profile, and testssl.sh, both told of the CA that signed the certificate."""

import json
import os
import subprocess

# What testssl.sh says that is not the gate's doing, each with its reason; anything else of rank LOW or worse fails.
EXCUSED = {
    "cert_revocation": "a development certificate names no place for its revocation",
    "DNS_CAArecord": "localhost has no zone",
    "engine_problem": "this machine's openssl has no GOST",
    "sessionresumption_ticket": "this version looks for the tickets of TLS 1.2",
}
RANKS = ("LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN")


def sslyze(gate, place, binary):
    """(checks that hold, all, what is wrong)"""
    out = place.path("sslyze.json")
    done = subprocess.run([binary, "--certinfo_ca_file", gate.ca, "--json_out", out, "--mozilla_config", "modern", "--early_data",
                           "--resum", "--reneg", f"localhost:{gate.port}"], capture_output=True, text=True, timeout=120)
    if not os.path.exists(out):
        raise SystemExit(f"sslyze did not run: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    scanned = json.load(open(out))["server_scan_results"][0]["scan_result"]

    def got(name):
        return scanned[name]["result"] if scanned[name]["status"] == "COMPLETED" else None

    def none_accepted(name):
        return got(name) is not None and not got(name)["accepted_cipher_suites"]

    def trusted():
        return all(any(path["verified_certificate_chain"] and path["trust_store"]["name"] == "Supplied CA file" for path in one["path_validation_results"])
                   and one["received_chain_has_valid_order"] for one in got("certificate_info")["certificate_deployments"])

    checks = {
        "compliant with Mozilla's modern profile": lambda: "OK - Compliant" in done.stdout,
        **{f"no {name.replace('_cipher_suites', '')}": lambda name=name: none_accepted(name)
           for name in ("ssl_2_0_cipher_suites", "ssl_3_0_cipher_suites", "tls_1_0_cipher_suites", "tls_1_1_cipher_suites", "tls_1_2_cipher_suites")},
        "TLS 1.3": lambda: len(got("tls_1_3_cipher_suites")["accepted_cipher_suites"]) == 3,
        "the chain": trusted,
        "no compression": lambda: not got("tls_compression")["supports_compression"],
        "no early data": lambda: not got("tls_1_3_early_data")["supports_early_data"],
        "no CCS injection": lambda: not got("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"],
        "no Heartbleed": lambda: not got("heartbleed")["is_vulnerable_to_heartbleed"],
        "no ROBOT": lambda: got("robot")["robot_result"].startswith("NOT_VULNERABLE"),
        "no renegotiation by clients": lambda: not got("session_renegotiation")["is_vulnerable_to_client_renegotiation_dos"],
        "TLS_FALLBACK_SCSV": lambda: got("tls_fallback_scsv")["supports_fallback_scsv"],
        "extended master secret": lambda: got("tls_extended_master_secret")["supports_ems_extension"],
        "curves": lambda: {one["name"] for one in got("elliptic_curves")["supported_curves"]} <= {"X25519", "prime256v1", "secp256r1", "secp384r1"},
    }
    wrong = []
    for name, check in checks.items():
        try:
            if not check():
                wrong.append((name, "it does not hold"))
        except (KeyError, TypeError) as error:
            wrong.append((name, f"sslyze did not say: {error!r}"))
    return len(checks) - len(wrong), len(checks), wrong


def testssl(gate, place):
    out = place.path("testssl.json")
    done = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "batch", "-n", "none", "--add-ca", gate.ca, "--jsonfile", out,
                           "--ip", "127.0.0.1", f"localhost:{gate.port}"], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    if not os.path.exists(out):
        raise SystemExit(f"testssl.sh did not run: {done.stdout[-1500:]}{done.stderr[-500:]}")
    found = json.load(open(out))
    if len(found) < 50:
        raise SystemExit(f"testssl.sh said only {len(found)} things: {done.stdout[-1500:]}")
    wrong = [(one["id"], f"{one['severity']}: {one['finding']}") for one in found
             if one["severity"] in RANKS and one["id"].split(" ")[0] not in EXCUSED]
    return len(found) - len(wrong), len(found), wrong
