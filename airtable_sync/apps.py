from django.apps import AppConfig


class AirtableSyncConfig(AppConfig):
    name = "airtable_sync"
    verbose_name = "Runs, sets and pins"
