"""A Flask application: Werkzeug's routing and request."""

import json
import os

from flask import Flask, request

application = Flask(__name__)


def executed(name, **found):
    write = {
        "handler": name, "method": request.method, "path": request.path, "id": found.get("id"),
        "query": [request.args.get("clinic"), *request.args.getlist("clinic")],
        "merged": [request.values.get("clinic"), *request.values.getlist("clinic")],
        "clinic": [request.headers.get("X-Clinic"), request.environ.get("HTTP_X_CLINIC")],
        "tenant": [request.headers.get("X-Tenant-Id"), request.environ.get("HTTP_X_TENANT_ID")],
        "user": [request.headers.get("X-User-Id"), request.environ.get("HTTP_X_USER_ID"), request.remote_user],
        "roles": [request.headers.get("X-User-Roles")],
    }
    with open(os.environ["EXECUTED"], "a") as file:
        file.write(json.dumps(write) + "\n")
    return "done\n"


def route(path, name, *methods):
    application.add_url_rule(path, f"{name} {path}", lambda **found: executed(name, **found), methods=methods,
                             provide_automatic_options=False)


route("/", "root", "GET", "POST")
route("/open/", "open", "GET", "POST")
route("/open/<path:rest>", "open", "GET", "POST")
route("/admin", "admin", "GET", "POST", "PUT", "DELETE")
route("/admin/<path:rest>", "admin", "GET", "POST", "PUT", "DELETE")
route("/items", "list", "GET")
route("/items/<id>", "show", "GET")
route("/items/<id>", "update", "POST")
route("/items/<id>", "replace", "PUT")
route("/items/<id>", "remove", "DELETE")
route("/items/<id>/delete", "delete", "POST", "DELETE")
