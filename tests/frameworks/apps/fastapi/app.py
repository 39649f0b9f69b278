"""A FastAPI application: Starlette's routing and request, FastAPI's typed parameters."""

import json
import os

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import PlainTextResponse

application = FastAPI()


def route(path, name, *methods):
    async def run(request: Request, clinic: str | None = Query(None), every: list[str] = Query([], alias="clinic"),
                  x_tenant_id: str | None = Header(None), x_clinic: str | None = Header(None)):
        try:
            form = await request.form()
        except Exception:  # what is no form has no fields
            form = {}
        write = {
            "handler": name, "method": request.method, "path": request.url.path, "id": request.path_params.get("id"),
            "query": [clinic, request.query_params.get("clinic"), *every], "merged": [str(form["clinic"]) if "clinic" in form else None],
            "clinic": [x_clinic, *request.headers.getlist("x-clinic")],
            "tenant": [x_tenant_id, *request.headers.getlist("x-tenant-id")],
            "user": [*request.headers.getlist("x-user-id")], "roles": [*request.headers.getlist("x-user-roles")],
        }
        with open(os.environ["EXECUTED"], "a") as file:
            file.write(json.dumps(write) + "\n")
        return PlainTextResponse("done\n")

    application.add_api_route(path, run, methods=list(methods), name=name, response_class=PlainTextResponse)


route("/", "root", "GET", "HEAD", "POST")
route("/open/{rest:path}", "open", "GET", "HEAD", "POST")
route("/admin", "admin", "GET", "HEAD", "POST", "PUT", "DELETE")
route("/admin/{rest:path}", "admin", "GET", "HEAD", "POST", "PUT", "DELETE")
route("/items", "list", "GET", "HEAD")
route("/items/{id}", "show", "GET", "HEAD")
route("/items/{id}", "update", "POST")
route("/items/{id}", "replace", "PUT")
route("/items/{id}", "remove", "DELETE")
route("/items/{id}/delete", "delete", "POST", "DELETE")
