# `make` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
.DEFAULT_GOAL := help

.PHONY: help run test test-quick test-postgres lint format types bench soak lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/installed ## serve on 127.0.0.1:$PORT (8000), with a stand-in for what the environment does not set
	@exec $(BIN)/python -m sandbox

test: .venv/installed ## run all tests, three at a time: most of them wait
	@exec $(BIN)/python -m pytest -n 3 --maxschedchunk 1

test-quick: .venv/installed ## run the tests that take seconds
	@exec $(BIN)/python -m pytest -m "not slow"

test-postgres: .venv/installed ## run those that use the database on a real PostgreSQL
	@exec $(BIN)/python -m tests.support.postgres $(BIN)/python -m pytest -n 2 -m "django_db and not slow"

lint: .venv/installed ## check style, types, Django's own checks and known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	SECRET_KEY=lint ENV_FILE=/dev/null $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python .ci/audit.py

format: .venv/installed ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed ## measure; every figure in the README comes from here
	@exec $(BIN)/python -m benchmarks

soak: .venv/installed ## run everything for MINUTES (30) with load, edits and faults, and judge
	@exec $(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),30)

lock: .venv/installed ## make requirements*.txt anew from requirements*.in
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -c requirements-dev.txt requirements.in -o requirements.txt

clean: ## remove what the other targets made
	rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Siftly needs Python 3.11 or newer; this is $$($(PYTHON) --version). Another one: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@# uv, as locked, installs the rest in a tenth of pip's time; it knows nothing of an index in pip's settings.
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > .venv/uv.txt
	$(PIP) -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt || $(PIP) -r requirements-dev.txt
	@touch $@
