"""The operator's page at /admin/cache/: is it well, and if not, why and what to do."""
