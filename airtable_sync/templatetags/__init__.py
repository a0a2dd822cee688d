"""Template filters of the status page. May import `status`."""
