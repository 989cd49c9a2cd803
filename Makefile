# Every target makes its own virtual environment; Python 3.10 or newer is all that has to be there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
VERSIONS := 3.10 3.11 3.12 3.13 3.14

.DEFAULT_GOAL := help
.PHONY: help demo test check wheel oldest matrix bench docs clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The built wheel is what gets installed, so that the demo and the tests run what users get.
$(VENV)/.installed: setup.cfg pyproject.toml README.md $(shell find safe_sqs -type f -not -name '*.pyc') | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade pip build
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist . > /dev/null
	$(BIN)/python -m pip install --quiet "safe_sqs[test] @ file://$$(ls $(CURDIR)/dist/*.whl)"
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

demo: $(VENV)/.installed ## guarded producers and consumers against an emulator over real TLS
	$(BIN)/safe-sqs demo

test: check ## all tests and checks
	$(BIN)/pytest -n auto --cov --cov-report= 
	$(BIN)/coverage report --fail-under=100 --include='*/safe_sqs/policy/*,*/safe_sqs/rules/*,*/safe_sqs/judge.py'

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## remove what the other targets made
	rm -rf .venv* build dist site *.egg-info .coverage*
