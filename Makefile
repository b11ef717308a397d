# Needs Python >= 3.11 and make; the program is set up in .venv on the first call.
PYTHON ?= python3
INPUT ?= $(or $(KAGGLE_DIGITS_INPUT),input)
RECIPE ?= bn20
FOLDS ?= 5
CSV ?= submissions/submission.csv
# More options of `kaggle-digits cv`, such as ARGS="--epochs 3 --seeds 2".
ARGS ?=
# PUSH=0: `make submit` does not submit; it checks the CSV and prints the command that submits.
PUSH ?= 1
# The competition's zip or CSVs for `make data`; empty: use the data in $(INPUT).
FROM ?=
# Run only some tests: paths, such as T=tests/datasets, or a pytest expression, such as T="cache or zip".
T ?=
# For `make bench`: QUICK=1, UPDATE=1 (write the results of a quick run), ITEMS="training fast".
QUICK ?=
UPDATE ?=
ITEMS ?=
# For `make test-oldest`: the Python version of Kaggle's machines.
PYTHON312 ?= python3.12

# Quote $(1) as one word for the shell, whatever it contains.
quoted = '$(subst ','\'',$(1))'

# Existing paths are passed unchanged, anything else as an expression of test names.
part = $(if $(1),$(if $(wildcard $(firstword $(subst ::, ,$(1)))),$(1),-k $(call quoted,$(1))))

# The tests of one file share trained runs, so they stay in one process. Many tests wait for a process
# or a server, so there are more of these processes than a small machine has cores.
PARALLEL := --numprocesses 4 --dist loadfile --no-loadscope-reorder

# The tests start hundreds of processes, each of which would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
  --constraint constraints.txt --config-settings editable_mode=compat
DIGITS := $(BIN)/kaggle-digits
READY := .venv/.ready
DEVELOPMENT := .venv/.development

.DEFAULT_GOAL := help
.PHONY: help submit test test-slow test-oldest lint format docs dist data cv bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Error: $$($(PYTHON) --version 2>&1) is too old: Python >= 3.11 is needed." \
	    "Choose another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo 'Setting up .venv once: installing TensorFlow and the rest takes some minutes'
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --editable .
	@touch $@

$(DEVELOPMENT): $(READY)
	@echo 'Adding the tools for tests and development once'
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

submit: cv ## get data, train 5 folds, write a CSV, and submit it if possible
	$(DIGITS) submit $(call quoted,$(CSV)) --input $(call quoted,$(INPUT)) --if-possible $(if $(filter 0,$(PUSH)),--dry-run)

# What to call again after Ctrl-C: `cv` itself does not know that `submit` comes after it.
cv: export KAGGLE_DIGITS_MAKE = $(strip make $(MAKECMDGOALS) $(MAKEOVERRIDES))
cv: data ## get data, train 5 folds, write a CSV; resumes an interrupted run
	$(DIGITS) cv --recipe $(call quoted,$(RECIPE)) --folds $(call quoted,$(FOLDS)) \
	  --input $(call quoted,$(INPUT)) --submission $(call quoted,$(CSV)) $(ARGS)

data: $(READY) ## get data: FROM=PATH, else input/, else Kaggle, else the embedded sample
	$(DIGITS) data get --input $(call quoted,$(INPUT)) $(if $(FROM),--from $(call quoted,$(FROM)))

# Tests of HTML pages use Debian's chromium. Without it they are skipped with the reason.
.venv/.browser: $(DEVELOPMENT)
	@command -v chromium > /dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && echo 'Installing chromium for the tests of HTML pages' && \
	  { apt-get update; DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium; } > /dev/null 2>&1; } || \
	  echo 'chromium is not installed: the tests of HTML pages are skipped'
	@touch $@

test: lint .venv/.browser ## run format check, lint, type check and the default tests; T=PART runs some of them
	$(BIN)/python -m pytest $(PARALLEL) $(call part,$(T))

test-slow: $(DEVELOPMENT) ## run the slow tests
	$(BIN)/python -m pytest -m slow

# A missing Python is not a failure: the message says how to name one.
test-oldest: ## run the tests on Python 3.12 with the oldest allowed versions; T=PART runs some of them
	@if ! $(PYTHON312) -c '' 2> /dev/null; then \
	  echo "Skipped: $(PYTHON312) is not installed. Choose another: make PYTHON312=PATH test-oldest"; \
	  exit 0; fi; \
	set -e; mkdir -p .venv-oldest; $(PYTHON312) tests/oldest.py pyproject.toml > .venv-oldest/versions.txt.new; \
	if ! cmp -s .venv-oldest/versions.txt.new .venv-oldest/versions.txt; then \
	  echo 'Setting up .venv-oldest: installing the oldest versions takes some minutes'; \
	  $(PYTHON312) -m venv .venv-oldest; \
	  .venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
	    --requirement .venv-oldest/versions.txt.new; \
	  .venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --config-settings editable_mode=compat --editable .; \
	  mv .venv-oldest/versions.txt.new .venv-oldest/versions.txt; fi; \
	.venv-oldest/bin/python -m pytest --pythonwarnings ignore $(PARALLEL) $(call part,$(T))

lint: $(DEVELOPMENT) ## run ruff (format and rules) and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEVELOPMENT) ## reformat the code with ruff
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEVELOPMENT) ## write docs/cli.md from the commands
	$(BIN)/python -m tests.make_cli_reference

dist: $(DEVELOPMENT) ## build sdist and wheel, check them, and run the wheel in a new environment
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m tests.check_wheel dist/*.whl

bench: $(DEVELOPMENT) data ## run the benchmarks; QUICK=1 takes two minutes and compares with the committed results
	$(BIN)/python -m benchmarks --input $(call quoted,$(INPUT)) $(if $(QUICK),--quick) $(if $(UPDATE),--update) $(ITEMS)

clean: ## remove .venv and caches; keeps data, runs and submissions
	rm -rf .venv .venv-oldest build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find kaggle_digits tests benchmarks -name __pycache__ -exec rm -rf {} +
