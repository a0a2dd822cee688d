"""The URLs that Django's handler serves. `application.py` answers calls, probes and metrics."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from siftly.home import home
from siftly.password_reset import password_reset_urls

handler403 = "siftly.error_pages.permission_denied"
handler404 = "siftly.error_pages.page_not_found"
handler500 = "siftly.error_pages.server_error"
urlpatterns = [
    path("", home),
    path("favicon.ico", RedirectView.as_view(url=static("airtable_sync/icon.svg"))),
    path("admin/cache/", include("airtable_sync.status.urls")),
    *password_reset_urls(),
    path("admin/", admin.site.urls),
]
