"""Letters in the admin: ten a page, searchable, with a link to the scan."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from letters.models import Letter


@admin.register(Letter)
class LetterAdmin(admin.ModelAdmin):
    list_display = ["subject", "patient", "sent", "file"]
    list_per_page = 10
    search_fields = ["subject", "patient"]

    @admin.display(description="scan")
    def file(self, letter):
        if not letter.scan:
            return ""
        return format_html('<a href="{}">open</a>', reverse("file", args=[letter.id]))
