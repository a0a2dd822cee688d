"""The mapping's pages in the admin: what is in force, proposing, editing, previewing and publishing
another one. `page.py` shows, `editing.py` and `draft_actions.py` change."""
