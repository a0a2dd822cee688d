"""The ASGI application that `gunicorn siftly.asgi` serves."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "siftly.settings")
django.setup(set_prefix=False)

from siftly.application import Application  # noqa: E402 - its imports need the settings

application = Application()
