"""The `manage.py` commands: `commands/` has one module per command."""
