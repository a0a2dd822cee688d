"""Collects the facts and judges them: is the cache healthy?

`collect.py` reads the facts. The three modules of findings judge them, as pure functions.
`verdict.py` takes the most serious finding. May import `display` and what `status` may import, but
no pages. Start reading at `verdict.py`, then `facts.py`."""
