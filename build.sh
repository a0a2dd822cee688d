#!/usr/bin/env bash
# What Render runs to build the service.
set -euo pipefail
python -m pip install --disable-pip-version-check --require-hashes -r requirements.txt
