"""The scan of a letter, for those who are signed in; and who that is."""

from django.contrib.admin.views.decorators import staff_member_required
from django.http import FileResponse, Http404, JsonResponse
from django.shortcuts import get_object_or_404

from letters.models import Letter


@staff_member_required
def file(request, number):
    letter = get_object_or_404(Letter, pk=number)
    if not letter.scan:
        raise Http404
    return FileResponse(letter.scan.open(), as_attachment=True)


def whoami(request):
    """Tells a gate in front whose session this is (`app.session.whoami`)."""
    user = request.user
    if not user.is_active:
        return JsonResponse({}, status=401)
    roles = ["manager"] if user.is_superuser else [group.name for group in user.groups.all()]
    return JsonResponse({"user": {"id": user.pk, "roles": roles}})
