"""gunicorn's settings for Flask: one process with a thread for each of 16 connections."""

worker_class = "gthread"
workers, threads = 1, 16
keepalive = 65
