"""A Django site in one file: Django's own routing and request, nothing of ours between."""

import json
import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path, re_path
from django.views.decorators.http import require_http_methods

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of-a-test", DEBUG=False, APPEND_SLASH=True,
                   MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
django.setup()


def handler(name, *methods):
    @require_http_methods(methods)
    def run(request, **found):
        write = {
            "handler": name, "method": request.method, "path": request.path, "id": found.get("id"),
            "query": [request.GET.get("clinic"), *request.GET.getlist("clinic")],
            "merged": [request.POST.get("clinic"), *request.POST.getlist("clinic")],
            "clinic": [request.headers.get("X-Clinic"), request.META.get("HTTP_X_CLINIC")],
            "tenant": [request.headers.get("X-Tenant-Id"), request.META.get("HTTP_X_TENANT_ID")],
            "user": [request.headers.get("X-User-Id"), request.META.get("HTTP_X_USER_ID"), request.META.get("REMOTE_USER")],
            "roles": [request.headers.get("X-User-Roles")],
        }
        with open(os.environ["EXECUTED"], "a") as file:
            file.write(json.dumps(write) + "\n")
        return HttpResponse("done\n", content_type="text/plain")

    return run


def item(request, **found):
    name = {"POST": "update", "PUT": "replace", "DELETE": "remove"}.get(request.method, "show")
    return handler(name, "GET", "HEAD", "POST", "PUT", "DELETE")(request, **found)


urlpatterns = [
    path("", handler("root", "GET", "HEAD", "POST")),
    re_path("^open/(?P<rest>.*)$", handler("open", "GET", "HEAD", "POST")),
    re_path("^admin(/(?P<rest>.*))?$", handler("admin", "GET", "HEAD", "POST", "PUT", "DELETE")),
    path("items", handler("list", "GET", "HEAD")),
    path("items/<str:id>", item),
    path("items/<str:id>/delete", handler("delete", "POST", "DELETE")),
]
application = get_wsgi_application()
