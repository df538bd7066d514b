# Everything is made from this file on a machine with Python 3.11, git and make. `make help` lists the targets.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A file of tests stays in one process: its servers are started once. One thread each: two processes share two cores.
PARALLEL := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install demo up down status serve test test-slow check format lint types bench lock browser clean

help: ## Say what each target does
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than both files: the environment is made once, and again when either changes.
# torch goes first: the packages that need it then keep the build that pip was pointed at.
$(READY): pyproject.toml requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), once. Step 1 of 2: torch"
	@$(BIN)/pip install --quiet --constraint requirements.lock torch==2.13.0
	@echo "Installing into $(VENV), once. Step 2 of 2: all the rest (some minutes)"
	@$(BIN)/pip install --quiet --constraint requirements.lock --editable '.[flows,training,serving,dev]'
	@touch $@

install: $(READY) ## Make the environment in .venv

demo: $(READY) ## Run everything on real data, then ask the live API for three users
	@$(BIN)/aisle demo

up: $(READY) ## Start Prefect, worker, schedules, object store and serving; print the addresses
	@$(BIN)/aisle up

down: $(READY) ## Stop what `make up` or `make demo` started
	@$(BIN)/aisle down

status: $(READY) ## Say what is running, and where
	@$(BIN)/aisle status

serve: $(READY) ## Run the serving API in the foreground
	@$(BIN)/aisle serve

test: $(READY) browser ## Run the tests (not the slow ones)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" $(PARALLEL)

test-slow: $(READY) browser ## Run the slow tests
	@OMP_NUM_THREADS=1 $(BIN)/pytest -m slow $(PARALLEL)

check: format lint types test ## Format check, lint, types, tests; CI runs it and test-slow

format: $(READY)
	@$(BIN)/ruff format --check .

lint: $(READY)
	@$(BIN)/ruff check .

types: $(READY)
	@$(BIN)/mypy

bench: $(READY) ## Print the benchmarks: validation cost, serving against a peer
	@for name in validation serving; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

lock: ## Resolve the newest allowed versions in a fresh environment and write requirements.lock
	@PYTHON=$(PYTHON) deploy/make-lock.sh

browser:
	@deploy/install-browser.sh

clean: ## Remove the environment and every file that a run left here (the lake and its keys, too)
	@test ! -x $(BIN)/aisle || $(BIN)/aisle down
	@rm -rf $(VENV) .venv-lock .aisle .pytest_cache .mypy_cache .ruff_cache .hypothesis
