# `make` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
.DEFAULT_GOAL := help

.PHONY: help run test test-quick test-postgres lint format types bench soak lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/installed ## serve on 127.0.0.1:$PORT (8000), with stand-ins for what the environment does not set
	@exec $(BIN)/python -m sandbox

test: .venv/installed ## run all tests, three at a time (most of their time is waiting)
	@exec $(BIN)/python -m pytest -n 3 --maxschedchunk 1

test-quick: .venv/installed ## run the tests that are not slow
	@exec $(BIN)/python -m pytest -m "not slow"

test-postgres: .venv/installed ## run the tests of the database on a real PostgreSQL
	@exec $(BIN)/python -m tests.support.servers.postgres $(BIN)/python -m pytest -n 2 -m "django_db and not slow"

lint: .venv/installed ## check style, types, Django's own checks and known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	SECRET_KEY=lint ENV_FILE=/dev/null $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python .ci/audit.py

format: .venv/installed ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed ## measure the speed (the figures in the README)
	@exec $(BIN)/python -m benchmarks

soak: .venv/installed ## run all of Siftly for MINUTES (30) with load, edits and faults, and check every answer
	@exec $(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),30)

lock: .venv/installed ## update requirements*.txt from requirements*.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -c requirements-dev.txt requirements.in -o requirements.txt

clean: ## remove the files of the other targets
	rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Siftly needs Python 3.11 or newer; this is $$($(PYTHON) --version). Use another: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@# uv (at the locked version) needs a tenth of pip's time. It does not read pip's settings: if they name
	@# another index, uv may fail, and pip installs the rest.
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > .venv/uv.txt
	$(PIP) -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt || $(PIP) -r requirements-dev.txt
	@touch $@
