# Everything a newcomer needs: `make run` and `make test` set up what they need on a machine with Python 3.11, pip and make.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PYTHONDONTWRITEBYTECODE =
export KLANTSPOOR_PROJECT ?= $(CURDIR)/demo
CUSTOMERS ?= 2000
DAYS ?= 180
HISTORIES ?= 3000
SEED ?= 0

.PHONY: setup run test check format lock bench bench-identity bench-nights ui clean docs soak soak-faults soak-histories

setup: $(READY)

# Compiled at install: without byte code every process would compile anew.
$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) (once, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY)
	@test -e $(KLANTSPOOR_PROJECT)/klantspoor.yaml || $(BIN)/klantspoor demo $(KLANTSPOOR_PROJECT) --customers $(CUSTOMERS) --days $(DAYS)
	@$(BIN)/klantspoor run

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/house tests/project

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(READY)
	@$(BIN)/python -m klantspoor.dictionary.docs docs/tables.md

bench: $(READY)
	@$(BIN)/python -m bench $(ARGS)

bench-identity: $(READY)
	@$(BIN)/python -m bench.identity $(ARGS)

bench-nights: $(READY)
	@$(BIN)/python -m bench.nights $(ARGS)

ui: $(READY)
	@mkdir -p .dagster && cp dagster.yaml .dagster/
	@DAGSTER_HOME=$(CURDIR)/.dagster $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1

# The long runs: every fault at every call, thousands of generated histories of nights and of journeys. A day on two cores; the
# histories alone, others than before: `make soak-histories HISTORIES=500 SEED=7000`.
soak: soak-faults soak-histories

soak-faults: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m soak

soak-histories: $(READY)
	@KLANTSPOOR_EXAMPLES=$(HISTORIES) KLANTSPOOR_SEED=$(SEED) $(BIN)/python -m pytest -n 2 --dist loadfile tests/nights

# pip-compile writes hashes for every platform's files; the options keep any index address out of the file.
lock:
	@$(BIN)/python -m pip install --quiet pip-tools
	@CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --no-strip-extras --allow-unsafe --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-emit-options --extra pipeline --extra postgres --extra linkage --extra notebooks --extra dev \
	  --build-deps-for editable -o requirements.lock pyproject.toml

clean:
	@rm -rf $(VENV) demo .dagster .pytest_cache .mypy_cache .ruff_cache
