# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: venv
venv: $(INSTALLED) ## Create .venv with the pinned packages (another Python: make venv PYTHON=python3.12)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/pip
	@$(MAKE) install-editable
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "quotapilot needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# pip names each package as it gets to it and is silent otherwise. setuptools goes first and builds without
# isolation: a constraints file does not reach into pip's isolated builds.
.PHONY: install-editable
install-editable: | $(BIN)/pip ## Install this checkout and its tools into .venv, again
	@echo "Installing the pinned packages into $(VENV); about a minute the first time"
	@$(BIN)/pip install -c constraints.txt setuptools | sed -un 's|^Collecting \([A-Za-z0-9._-]*\).*|  \1|p'
	@$(BIN)/pip install -c constraints.txt --no-build-isolation -e '.[dev]' \
	  | sed -un 's|^Collecting \([A-Za-z0-9._-]*\).*|  \1|p'

.PHONY: test
test: venv ## Run the tests that need no kernel to write to (ARGS='-k journal' to choose)
	$(BIN)/pytest -m 'not system' $(ARGS)

.PHONY: system
system: venv ## Run the tests on real kernels; as root; builds user-mode Linux once, about four minutes
	$(BIN)/pytest -m system $(ARGS)

.PHONY: demo
demo: venv ## Show one SLO being held, and what happens without (ARGS are the demo's own options)
	$(BIN)/quotapilot demo $(ARGS)

.PHONY: lab lab-full
lab: venv ## Compare controllers on real cgroups, as root: a short set, at most ten minutes (ARGS: run --help)
	$(BIN)/python -m benchmarks.lab run --plan short $(ARGS)
lab-full: venv ## The whole comparison, 33 hours; goes on where it was interrupted (another plan: ARGS='--plan core', 7 hours)
	$(BIN)/python -m benchmarks.lab run --plan full $(ARGS)

.PHONY: check check-lint check-format check-types check-imports
check: check-lint check-format check-types check-imports ## Lint, format, types and the direction of imports
check-lint: venv
	$(BIN)/ruff check
check-format: venv
	$(BIN)/ruff format --check
check-types: venv
	$(BIN)/mypy
check-imports: venv
	$(BIN)/lint-imports

.PHONY: clean
clean: ## Remove what make and the tools made here
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
