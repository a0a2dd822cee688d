"""The settings of gunicorn.conf.py, but each process imports Siftly itself."""

import runpy

globals().update(runpy.run_path("gunicorn.conf.py"), preload_app=False)
