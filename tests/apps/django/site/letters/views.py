"""The scan of a letter, for those who are signed in."""

from django.contrib.admin.views.decorators import staff_member_required
from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404

from letters.models import Letter


@staff_member_required
def file(request, number):
    letter = get_object_or_404(Letter, pk=number)
    if not letter.scan:
        raise Http404
    return FileResponse(letter.scan.open(), as_attachment=True)
