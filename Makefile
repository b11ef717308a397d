# Needs Python >= 3.11 and make; everything else is set up in .venv on the first call.
PYTHON ?= python3
INPUT ?= $(or $(KAGGLE_DIGITS_INPUT),input)
RECIPE ?= bn20
FOLDS ?= 5
CSV ?= submissions/submission.csv
# More options of `kaggle-digits cv`, such as ARGS="--epochs 3 --seeds 2".
ARGS ?=
# PUSH=0 keeps `make submit` from pushing: it checks the CSV and prints the command that pushes.
PUSH ?= 1
# Where `make data` takes the competition's zip or CSVs from; empty: what lies in $(INPUT).
FROM ?=
# A part of the tests: paths, such as T=tests/datasets, or a pytest expression, such as T="cache or zip".
T ?=
# Of `make bench`: QUICK=1, UPDATE=1 (a quick run writes its results, too), ITEMS="training fast".
QUICK ?=
UPDATE ?=
ITEMS ?=

# What the shell is to take as one word, whatever it holds.
quoted = '$(subst ','\'',$(1))'

# Paths as they are, anything else as an expression of test names.
part = $(if $(1),$(if $(wildcard $(firstword $(subst ::, ,$(1)))),$(1),-k $(call quoted,$(1))))

BIN := .venv/bin
DIGITS := $(BIN)/kaggle-digits
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help submit test test-slow lint format data cv bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Error: $$($(PYTHON) --version 2>&1) is too old: Python >= 3.11 is needed." \
	    "Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo 'Setting up .venv once: installing TensorFlow and the rest takes some minutes'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt \
	  --config-settings editable_mode=compat --editable '.[dev]'
	@touch $@

submit: cv ## data -> 5-fold training -> CSV -> push, where that is possible
	$(DIGITS) submit $(call quoted,$(CSV)) --input $(call quoted,$(INPUT)) --if-possible $(if $(filter 0,$(PUSH)),--dry-run)

cv: data ## data -> cross-validated training -> CSV; goes on where it was broken off
	$(DIGITS) cv --recipe $(call quoted,$(RECIPE)) --folds $(call quoted,$(FOLDS)) \
	  --input $(call quoted,$(INPUT)) --submission $(call quoted,$(CSV)) $(ARGS)

data: $(READY) ## what lies in input/, or FROM=PATH, or Kaggle's, or the embedded sample
	$(DIGITS) data get --input $(call quoted,$(INPUT)) $(if $(FROM),--from $(call quoted,$(FROM)))

# A file's tests share what they trained: they stay together in one process.
test: lint ## format, lint, types and the tests that need no more than minutes; T=PART runs a part
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(call part,$(T))

test-slow: $(READY) ## the tests that need longer
	$(BIN)/python -m pytest -m slow

lint: $(READY) ## ruff (format and rules) and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## let ruff rewrite the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: data ## ratios of runs made in turn; QUICK=1: two minutes, compared with what is committed
	$(BIN)/python -m benchmarks --input $(call quoted,$(INPUT)) $(if $(QUICK),--quick) $(if $(UPDATE),--update) $(ITEMS)

clean: ## remove the environment and caches; data, runs and submissions stay
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find kaggle_digits tests benchmarks -name __pycache__ -exec rm -rf {} +
