#!/usr/bin/env python3
"""Orthanc, a hospital's image archive, behind the gate: scanners, scripts, DICOMweb and its own page in a browser."""

import hashlib
import io
import json
import os
import sys
import zipfile

import dicom
from browser import Browser
from gate import Checks, Gate, Place, factors, free_port, section, until

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "images.hospital.example"


def main():
    checks = Checks("orthanc")
    with Place() as place:
        port = free_port()
        gate = Gate(place, f"{HERE}/orthanc", port, HOST)
        settings = json.load(open(f"{HERE}/orthanc/orthanc.json"))
        settings["HttpPort"], settings["DicomWeb"]["Host"] = port, f"{HOST}:{gate.port}"
        for folder in ("StorageDirectory", "IndexDirectory"):
            settings[folder] = place.path("storage")
        with open(place.path("orthanc.json"), "w") as file:
            json.dump(settings, file)
        place.serve("orthanc", port, ["Orthanc", place.path("orthanc.json")])
        gate.run()
        drive(checks, place, gate)
    return checks.end()


def drive(checks, place, gate):
    here = {"org_id": "st-aldhelm"}
    sender = gate.token("scanner-3.example", **here, roles=["radiographer"])
    reader = gate.token("ada.example", **here, roles=["physician"], **factors("pwd", "otp"))
    archivist = {**here, "roles": ["archivist"]}
    keeper = gate.token("grace.example", **archivist, **factors("pwd", "otp"))
    forgetful = {"with a password alone": gate.token("grace.example", **archivist, **factors("pwd")),
                 "with factors of an hour ago": gate.token("grace.example", **archivist, **factors("pwd", "otp", age=3600))}
    stranger = gate.token("eve.example", org_id="st-elsewhere", roles=["archivist"], **factors("pwd", "otp"))
    nobody = gate.token("null.example", roles=["archivist"])

    study = dicom.uid()
    study_id = sends(checks, place, gate, sender, study)
    instance = reads(checks, gate, reader, study_id)
    dicomweb(checks, gate, sender, reader)
    stays_out(checks, gate, reader, stranger, nobody, study_id, instance)
    page(checks, place, gate, reader, sender)
    removes(checks, gate, reader, keeper, forgetful, study_id)
    recorded(checks, gate)


def sends(checks, place, gate, sender, study):
    section("sending")
    small, _ = dicom.image("Example^Ada", "P-0001", study, 256, 256)
    got = gate.ask("POST", "/instances", sender, small, {"Content-Type": "application/dicom"})
    checks.passes("a small image, by Python's client", got)
    study_id = got.json()["ParentStudy"]

    ways = {
        "by curl over HTTP/2": ["--http2", "--data-binary", "@FILE"],
        "by curl over HTTP/1.1, which asks first (Expect: 100-continue)": ["--http1.1", "--data-binary", "@FILE"],
        "in chunks, no length said": ["--http1.1", "--header", "Transfer-Encoding: chunked", "--data-binary", "@FILE"],
        "as a form (multipart/form-data)": ["--form", "upload=@FILE;type=application/dicom"],
    }
    for number, (how, arguments) in enumerate(ways.items()):
        # The first belongs to the study that is read later; the others to one of their own.
        large, instance = dicom.image("Example^Ada", "P-0001", study if number == 0 else f"{study}.1", 4096, 5120, bits=16)
        path = place.path("large.dcm")
        with open(path, "wb") as file:
            file.write(large)
        arguments = [one.replace("FILE", path) for one in arguments]
        if "--form" not in arguments:
            arguments += ["--header", "Content-Type: application/dicom"]
        got = gate.curl("/instances", sender, *arguments)
        checks.passes(f"{len(large) / (1 << 20):.1f} MiB {how}", got)
        if "--http1.1" in arguments:
            checks.that("curl spoke HTTP/1.1", got.version == "1.1", got.version)
        found = gate.ask("POST", "/tools/lookup", sender, instance).json()
        md5 = found and gate.ask("GET", f"/instances/{found[0]['ID']}/attachments/dicom/md5", sender).text
        checks.that("the archive has the very bytes that were sent", md5 == hashlib.md5(large).hexdigest(), found)
    return study_id


def reads(checks, gate, reader, study_id):
    section("reading")
    got = gate.ask("GET", "/studies", reader)
    checks.that("the list of studies", got.status == 200 and study_id in got.json(), got.text[:200])
    got = gate.ask("GET", f"/studies/{study_id}?short", reader)
    checks.that("a study", got.status == 200 and got.json()["PatientMainDicomTags"], got.text[:200])
    got = gate.ask("GET", "/patients?expand&since=0&limit=10", reader)
    checks.that("patients, with paging", got.status == 200 and len(got.json()) == 1, got.text[:200])
    patient = got.json()[0]["ID"]
    got = gate.ask("GET", f"/patients/{patient}", reader)
    checks.passes("a patient", got)
    event = gate.event(got)
    checks.that("the record holds the patient as a pseudonym", event["patient"].startswith("hp:"), event)
    checks.that("the record holds the path as the rule writes it", event["route"] == "GET /patients/{patient}/**", event)
    got = gate.ask("POST", "/tools/find", reader, json.dumps({"Level": "Study", "Query": {"PatientID": "P-*"}}))
    checks.that("a search", got.status == 200 and study_id in got.json(), got.text[:200])

    instances = gate.ask("GET", f"/studies/{study_id}/instances", reader).json()
    checks.that("both images are there", len(instances) == 2, len(instances))
    smallest = min(instances, key=lambda one: one["FileSize"])["ID"]
    largest = max(instances, key=lambda one: one["FileSize"])
    got = gate.ask("GET", f"/instances/{smallest}/preview", reader, headers={"Accept": "image/png"})
    checks.that("a rendered image", got.status == 200 and got.body.startswith(b"\x89PNG"), got.headers)
    got = gate.curl(f"/instances/{largest['ID']}/file", reader)
    checks.that("40 MiB back, whole", got.status == 200 and len(got.body) == largest["FileSize"], (got.status, len(got.body)))
    got = gate.curl(f"/instances/{largest['ID']}/file", reader, "--range", "132-1155")
    ranged = got.status == 206 and len(got.body) == 1024 or got.status == 200 and len(got.body) == largest["FileSize"]
    checks.that("a range: the piece, or the whole where Orthanc is too old for ranges", ranged, (got.status, len(got.body)))
    got = gate.curl(f"/studies/{study_id}/archive", reader)
    checks.passes("a zip of the study", got)
    names = zipfile.ZipFile(io.BytesIO(got.body)).namelist()
    checks.that("it holds both images", len(names) == 2, names)
    got = gate.ask("GET", f"/studies/{study_id}", reader, headers={"Accept-Encoding": "gzip"})
    checks.that("a compressed answer stays compressed",
                got.headers.get("content-encoding") == "gzip" and got.body[:2] == b"\x1f\x8b", got.headers)
    got = gate.ask("HEAD", "/system", reader)
    checks.that("HEAD is judged as GET; Orthanc's own answer to it comes through", got.code is None, got.status)
    return smallest


def dicomweb(checks, gate, sender, reader):
    section("DICOMweb")
    study = dicom.uid()
    files = [dicom.image("Example^Grace", "P-0002", study, 64, 64, number=number)[0] for number in (1, 2, 3)]
    boundary = "a-boundary"
    parts = [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + one + b"\r\n" for one in files]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
    got = gate.ask("POST", "/dicom-web/studies", sender, body, headers)
    stored = got.json().get("00081199", {}).get("Value", []) if got.status == 200 else []
    checks.that("STOW-RS: three images in one multipart request", len(stored) == 3, (got.status, got.text[:300]))
    url = got.json().get("00081190", {}).get("Value", [""])[0] if stored else ""
    checks.that("the address that it returns is the gate's own", url.startswith(f"{gate.origin}/dicom-web/"), url)

    got = gate.ask("GET", "/dicom-web/studies?PatientID=P-0002&includefield=00081030&limit=5", reader,
                   headers={"Accept": "application/dicom+json"})
    checks.that("QIDO-RS: the study is found", got.status == 200 and len(got.json()) == 1, got.text[:300])
    found = got.json()[0]["0020000D"]["Value"][0]
    # A person's name in DICOM holds `^`. Browsers send it as it is, and this Orthanc does not know it encoded.
    got = gate.ask("GET", "/dicom-web/studies?PatientName=Example^Grace", reader, headers={"Accept": "application/dicom+json"})
    checks.that("QIDO-RS: by a name with a ^", got.status == 200 and len(got.json()) == 1, got.text[:300])
    got = gate.ask("GET", "/dicom-web/studies?PatientName=Example*", reader, headers={"Accept": "application/dicom+json"})
    checks.that("QIDO-RS: by the start of a name", got.status == 200 and len(got.json()) == 3, got.text[:300])
    got = gate.ask("GET", f"/dicom-web/studies/{found}/instances", reader, headers={"Accept": "application/dicom+json"})
    checks.that("QIDO-RS: its images", got.status == 200 and len(got.json()) >= 3, got.text[:300])
    one = got.json()[-1]
    series, instance = one["0020000E"]["Value"][0], one["00080018"]["Value"][0]
    path = f"/dicom-web/studies/{found}/series/{series}/instances/{instance}"
    got = gate.ask("GET", path, reader, headers={"Accept": 'multipart/related; type="application/dicom"'})
    checks.that("WADO-RS: an image, multipart", got.status == 200 and b"DICM" in got.body
                and got.headers["content-type"].startswith("multipart/related"), (got.status, got.headers))
    got = gate.ask("GET", f"{path}/metadata", reader, headers={"Accept": "application/dicom+json"})
    checks.passes("WADO-RS: its metadata", got)
    got = gate.ask("GET", f"{path}/frames/1", reader, headers={"Accept": 'multipart/related; type="application/octet-stream"'})
    checks.that("WADO-RS: a frame", got.status == 200 and len(got.body) > 64 * 64, (got.status, len(got.body)))
    query = f"/wado?requestType=WADO&studyUID={found}&seriesUID={series}&objectUID={instance}&contentType=image/png"
    got = gate.ask("GET", query, reader)
    checks.that("WADO-URI: a picture", got.status == 200 and got.body.startswith(b"\x89PNG"), (got.status, got.text[:200]))


def stays_out(checks, gate, reader, stranger, nobody, study_id, instance):
    section("what does not pass")
    checks.refused("no token", gate.ask("GET", f"/studies/{study_id}"), 401, "NO_CREDENTIAL")
    checks.refused("a token of another hospital", gate.ask("GET", f"/studies/{study_id}", stranger), 403, "NOT_OWN")
    checks.refused("a token of no hospital", gate.ask("GET", f"/studies/{study_id}", nobody), 403, "NO_TENANT")
    checks.refused("a physician sends", gate.ask("POST", "/instances", reader, b"x"), 403, "NOT_GRANTED")
    checks.refused("a physician removes", gate.ask("DELETE", f"/instances/{instance}", reader), 403, "NOT_GRANTED")
    for method, path in (("POST", "/tools/execute-script"), ("POST", "/tools/shutdown"), ("POST", "/tools/reset"),
                         ("GET", "/changes"), ("PUT", "/modalities/evil"), ("GET", "/statistics")):
        got = gate.ask(method, path, reader, b"" if method != "GET" else None)
        want = (405, "METHOD_NOT_ALLOWED") if path == "/modalities" else (404, "NO_ROUTE")
        checks.refused(f"{method} {path}", got, *want)
    checks.refused("a path that two readers read differently", gate.ask("GET", "/app/..%2ftools/shutdown", reader), 400, "BAD_PATH")
    got = gate.ask("PUT", f"/studies/{study_id}", reader, b"x")
    checks.refused("a method that no rule names", got, 405, "METHOD_NOT_ALLOWED")
    checks.refused("another host", gate.ask("GET", "/system", reader, host="archive.example"), 400, "BAD_HOST")


def page(checks, place, gate, reader, sender):
    section("in a browser")
    with Browser(place, gate) as browser:
        browser.open("/app/explorer.html")
        checks.that("without a session the page is not there", "NO_CREDENTIAL" in browser.text(), browser.text())
        browser.cookie("__session", sender)
        browser.open("/app/explorer.html")
        browser.troubles()
        # Its start page asks for words to look up; all studies are one click away.
        browser.open("/app/explorer.html#find-studies")
        browser.open("/app/explorer.html")
        browser.says("Lookup")
        checks.that("the page starts", True)
        browser.open("/app/explorer.html#find-patients")
        browser.run("location.reload()")
        browser.says("Example")
        checks.that("it lists the patients", "P-0001" in browser.run("return document.body.innerHTML"))
        browser.screenshot(place.path("patients.png"))
        checks.that("the browser had nothing refused or failed", not (bad := browser.troubles()), bad)
        studies = gate.ask("GET", "/studies?expand", sender).json()
        study = next(one for one in studies if one["PatientMainDicomTags"]["PatientID"] == "P-0001")
        browser.open(f"/app/explorer.html#study?uuid={study['ID']}")
        browser.run("location.reload()")
        browser.says("Test pattern")
        keep(place, browser, "orthanc.png", checks)
        status = browser.run("const ask = new XMLHttpRequest(); ask.open('GET', '/dicom-web/studies?PatientName=Example^Grace', false);"
                             "ask.send(); return ask.status")
        checks.that("a script of a page asks for a name with a ^", status == 200, status)
        browser.troubles()
        series = study["Series"][0]
        browser.open(f"/app/explorer.html#series?uuid={series}")
        browser.run("location.reload()")
        browser.says("Grey ramp")
        # Its links to downloads.
        browser.click("a[href*='archive'], #series-archive")
        path = browser.downloaded(".zip")
        checks.that("a zip downloaded in the browser opens", zipfile.ZipFile(path).testzip() is None)
        # Its upload page: files are chosen, then sent as forms by a script.
        image, _ = dicom.image("Example^Edsger", "P-0003", dicom.uid(), 128, 128)
        with open(place.path("upload.dcm"), "wb") as file:
            file.write(image)
        browser.open("/app/explorer.html#upload")
        browser.run("location.reload()")
        browser.find("#fileupload")
        browser.type("#fileupload", place.path("upload.dcm"))
        browser.click("#upload-button")
        until("the upload", lambda: "P-0003" in gate.ask("GET", "/patients?expand", sender).text)
        checks.that("an image uploaded on the page is in the archive", True)
        checks.that("the browser had nothing refused or failed", not (bad := browser.troubles()), bad)


def keep(place, browser, name, checks):
    """A screenshot; it goes into the folder $SCREENSHOTS where there is one (docs/images, for the manual)."""
    path = place.path(name)
    browser.screenshot(path)
    checks.that("a screenshot of less than 150 KiB", os.path.getsize(path) < 150 << 10, os.path.getsize(path))
    if folder := os.environ.get("SCREENSHOTS"):
        os.makedirs(folder, exist_ok=True)
        os.replace(path, os.path.join(folder, name))


def removes(checks, gate, reader, keeper, forgetful, study_id):
    section("removing")
    for how, token in forgetful.items():
        got = gate.ask("DELETE", f"/studies/{study_id}", token)
        checks.refused(f"an archivist {how}", got, 401, "STEP_UP")
        asked = got.headers.get("www-authenticate", "")
        checks.that("the challenge says what to ask for", "insufficient_user_authentication" in asked and "max_age" in asked, asked)
        checks.passes("who may look all the same", gate.ask("GET", f"/studies/{study_id}", token))
    checks.passes("an archivist removes a study", gate.ask("DELETE", f"/studies/{study_id}", keeper))
    got = gate.ask("GET", f"/studies/{study_id}", reader)
    checks.that("Orthanc's own 404 comes through", got.status == 404 and got.code is None, (got.status, got.code))


def recorded(checks, gate):
    section("the record")
    text = json.dumps(gate.record())
    for canary in ("P-0001", "P-0002", "Example^", "Example%5E", "uploads"):
        checks.that(f"no `{canary}` in it", canary not in text)
    log = open(gate.place.path("gate.log")).read()
    for canary in ("P-0001", "P-0002", "Example^", "Bearer", "eyJ"):
        checks.that(f"no `{canary}` in the log", canary not in log)


if __name__ == "__main__":
    sys.exit(main())
