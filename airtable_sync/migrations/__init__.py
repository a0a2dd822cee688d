"""Django's migrations of `models.py`."""
