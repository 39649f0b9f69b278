"""The addresses of the site."""

from django.contrib import admin
from django.urls import path

from letters.views import file, whoami

urlpatterns = [
    path("admin/", admin.site.urls),
    path("whoami/", whoami),
    path("letters/<int:number>/file", file, name="file"),
]
