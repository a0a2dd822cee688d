"""The URLs that Django's handler serves. `application.py` answers calls, probes and metrics."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

handler500 = "siftly.error_pages.server_error"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", RedirectView.as_view(url=static("airtable_sync/icon.svg"))),
    path("admin/cache/", include("airtable_sync.status.urls")),
    path("admin/", admin.site.urls),
]
