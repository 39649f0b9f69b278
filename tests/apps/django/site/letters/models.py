"""Letters that a clinic has sent or received."""

from django.db import models


class Letter(models.Model):
    patient = models.CharField(max_length=40)
    subject = models.CharField(max_length=120)
    sent = models.DateField()
    scan = models.FileField(upload_to="scans", blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self):
        return self.subject
