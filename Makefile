# `make` lists the targets.
PYTHON ?= python3
# Another Python has its own environment: `make test PYTHON=python3.13` leaves .venv as it is.
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
WORKERS ?= 6
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate
.DEFAULT_GOAL := help

.PHONY: help install doctor run test test-quick test-long test-postgres test-redis lint format bench soak screenshots reference docs docs-links lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/installed ## install what Siftly needs into .venv

run: $(VENV)/installed ## serve on 127.0.0.1:$PORT (8000), with stand-ins for what the environment does not set; BASE=agency: other sample data
	@exec $(BIN)/python -m sandbox $(if $(BASE),--base '$(BASE)')

test: $(VENV)/installed ## run the tests, WORKERS (6) at a time: they wait more than they compute
	@exec $(BIN)/python -m pytest -n $(WORKERS) -m "not long"

test-quick: $(VENV)/installed ## run the tests that start no server and wait for nothing
	@exec $(BIN)/python -m pytest -n 2 -m "not slow and not long"

test-long: $(VENV)/installed ## run all tests, also those that take minutes, with many random examples
	@exec $(BIN)/python -m pytest -n 4 --hypothesis-profile=long

test-postgres: $(VENV)/installed ## run the tests of the database once more, on a real PostgreSQL
	@exec $(BIN)/python -m tests.support.servers.postgres $(BIN)/python -m pytest -n 4 -m "django_db and not slow and not long"

test-redis: $(VENV)/installed ## run the tests of Redis on each Redis and Valkey of this machine (REDIS_SERVERS: more paths)
	@exec $(BIN)/python -m tests.support.servers.redis_versions -n 4

lint: $(VENV)/installed ## check style, types, layers, migrations, YAML files and known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	SECRET_KEY=lint ENV_FILE=/dev/null $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/python .ci/audit.py

format: $(VENV)/installed ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed ## measure the speed (the figures in docs/understanding/scale.md)
	@exec $(BIN)/python -m benchmarks

soak: $(VENV)/installed ## run all of Siftly for MINUTES (30) with load, edits and faults, and check every answer
	@exec $(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),30)

screenshots: $(VENV)/installed ## take the pictures of the status page in docs/images (needs Chromium; pngquant makes them small)
	@exec $(BIN)/python -m pytest -p no:randomly tests/status/screenshots.py

reference: $(VENV)/installed ## write what is made from the code: pages of the reference, .env.example, the mapping's JSON Schema
	@$(BIN)/python -m airtable_sync.mapping.reference
	@$(BIN)/python docs/make_reference.py

docs: $(VENV)/installed ## build the documentation site into docs/_build/html; every warning is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

docs-links: $(VENV)/installed ## check the links to other sites in the documentation (needs the internet)
	$(BIN)/python -m sphinx --quiet --builder linkcheck docs docs/_build/linkcheck

doctor: ## say what this machine lacks for `make run`, `make test` and `make docs`
	@$(PYTHON) .ci/doctor.py $(VENV)

lock: $(VENV)/installed ## update requirements*.txt from pyproject.toml; UPGRADE=1: to the newest versions
	$(LOCK) $(if $(UPGRADE),--upgrade) --group dev pyproject.toml -o requirements-dev.txt
	$(LOCK) -c requirements-dev.txt pyproject.toml -o requirements.txt

clean: ## remove the files of the other targets
	rm -rf .venv .venv-* .run docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Siftly needs Python 3.11 or newer; this is $$($(PYTHON) --version). Use another: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# uv (at the locked version) needs a tenth of pip's time. It does not read pip's settings: if they name
	@# another index, uv may fail, and pip installs the rest. Both compile the modules: otherwise each process
	@# that starts would, until one has written them.
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > $(VENV)/uv.txt
	$(PIP) -r $(VENV)/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt || $(PIP) -r requirements-dev.txt
	@touch $@
