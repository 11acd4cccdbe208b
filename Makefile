# Needs make, git and Python 3.11 or newer; everything else is fetched into .venv.
#   make run          start a server on ./data     (ARGS="--listen 127.0.0.1:9443")
#   make test         all that must hold           (ARGS="-k chain")
.DEFAULT_GOAL := help
.PHONY: help run env env-run quick test lint fix bench soak docs-check clean system-packages
MAKEFLAGS += --no-print-directory
# Byte code stays out of the source tree, and no start compiles again what an earlier one did.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache

# The first interpreter that is new enough; asked only when a target needs it.
CANDIDATES := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python
FIND_PYTHON = $(shell for p in $(CANDIDATES); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)
PY := .venv/bin/python
DATA_DIR ?= ./data
ARGS ?=
PYTEST := $(PY) -m pytest

help:
	@sed -n 's/^#   //p' Makefile; echo; sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile

run: env-run ## start a server on $(DATA_DIR), with ARGS
	@exec .venv/bin/strongroom server --data-dir $(DATA_DIR) $(ARGS)

env-run env: PROFILE = $(if $(filter env,$@),dev,run)
env-run env: ## build .venv, for running or for development
	@python="$(FIND_PYTHON)"; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; none of '$(strip $(CANDIDATES))' is one." >&2; exit 1; fi; \
	"$$python" tools/bootstrap.py $(PROFILE)

quick: env ## unit and contract tests on SQLite, no peers
	@$(PYTEST) $(wildcard tests/unit tests/contract tests/api) -m "not integration and not peers" -q $(ARGS)

test: env system-packages ## everything that must hold for a change
	@mkdir -p build
	@$(PYTEST) -n 2 --dist worksteal --cov --cov-report=json:build/coverage.json --coverage-floor $(ARGS)

system-packages: env
	@$(PY) -m tools.system_packages

lint: env ## style, types, layers, own rules, lock and generated files
	@$(PY) -m tools.check

fix: env ## let the tools repair what they can
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@$(PY) -m tools.generated --write

bench: env ## side by side with OpenBao
	@$(PY) -m tools.bench $(ARGS)

soak: env system-packages ## the long runs, with their numbers as ARGS
	@HYPOTHESIS_PROFILE=soak $(PYTEST) --timeout=0 -p no:randomly \
	  -o addopts="--strict-markers --strict-config --import-mode=importlib --allow-hosts=127.0.0.1,::1" tests/soak $(ARGS)

docs-check: env ## links and code fences of the documentation
	@$(PY) -m tools.docs_check

clean: ## remove what was built; ./data stays
	@rm -rf .venv .uv build dist reports .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
