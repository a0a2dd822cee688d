"""How Siftly is served: gunicorn's worker, connections with their limits, the fast path, the
request and response types, strict JSON, and the log. This is the lowest package: it imports Django,
gunicorn and uvicorn, and nothing of Siftly outside itself. Start with `worker.py` and
`connection.py` for a request, with `http.py` for what a view gets and returns, and with
`log_setup.py` for the log."""
