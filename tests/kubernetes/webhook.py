"""The webhook as a process, asked as an API server asks it; and the patch that it answers with, applied."""

import base64
import copy
import http.client
import json
import signal
import ssl
import subprocess


class Webhook:
    """The webhook with these flags, after the name of the program."""

    def __init__(self, binary, folder, flags):
        self.folder = folder
        subprocess.run([binary, "dev", "certs", "--out", f"{folder}/tls", "webhook.svc", "127.0.0.1"], check=True, capture_output=True)
        command = [binary, *flags, "--listen=127.0.0.1:0", "--health=127.0.0.1:0", "--drain-delay=0s", "--drain-deadline=6s"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(json.loads(line)["address"].rsplit(":", 1)[1]) if line else 0

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.close()
        return self.process.wait(timeout=20)

    def ask(self, one):
        """The pod as the webhook leaves it, or a text that says why it refuses."""
        kind = {"group": "", "version": "v1", "kind": "Pod"}
        request = {"uid": "u-1", "kind": kind, "operation": "CREATE", "namespace": "clinic", "object": one}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        trust = ssl.create_default_context(cafile=f"{self.folder}/tls/ca.crt")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=trust, timeout=10)
        connection.request("POST", "/mutate?timeout=5s", json.dumps(review), {"content-type": "application/json"})
        answer = connection.getresponse()
        response = json.loads(answer.read())["response"]
        connection.close()
        if not response["allowed"]:
            return response["status"]["message"]
        one = copy.deepcopy(one)
        for operation in json.loads(base64.b64decode(response.get("patch", "W10="))):
            apply(one, operation)
        return one


def apply(pod, operation):
    """One operation of a JSON patch (RFC 6902), as far as it is used here."""
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    at = pod
    for part in path:
        at = at[int(part)] if isinstance(at, list) else at[part]
    if isinstance(at, list):
        last = len(at) if last == "-" else int(last)
    if operation["op"] == "remove":
        del at[last]
    elif operation["op"] == "add" and isinstance(at, list):
        at.insert(last, operation["value"])
    elif operation["op"] in ("add", "replace"):
        at[last] = operation["value"]
    else:
        raise ValueError(f"unknown: {operation}")
