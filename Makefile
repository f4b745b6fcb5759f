# minirt: `make help` lists what can be done. Everything happens inside .venv; nothing needs root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where JupyterLab listens is Jupyter's own business; extra words for it go here: make lab LAB_OPTIONS=--no-browser
LAB_OPTIONS ?=
ROUNDS ?= 40
# Inside a plain container there may be no other user than root, whom Jupyter asks to say so.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help setup lab test lint soak machines bench format clean

help: ## show this list
	@echo "minirt: learn how containers work, by running them"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The stamp makes the second call quick and quiet: pip runs again only when what it installs has changed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "minirt needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 lab"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once, a minute or two) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lab,test,lint]'
	@$(BIN)/python -m minirt_kernel.install --sys-prefix --quiet
	@touch $(READY)

setup: $(READY) ## make .venv, install, register the kernel

lab: $(READY) ## open JupyterLab on the notebooks
	@cd notebooks && exec ../$(BIN)/jupyter lab $(AS_ROOT) $(LAB_OPTIONS)

test: $(READY) ## run every test, the notebooks included
	@$(BIN)/python tests/run.py

lint: $(READY) ## style, types, and the rules between the rooms
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > .lint-imports.log || { cat .lint-imports.log; exit 1; }; rm -f .lint-imports.log

format: $(READY) ## let ruff tidy the code
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

soak: $(READY) ## kill -9 at random, many times, and look whether all is whole: make soak ROUNDS=1000
	@$(BIN)/python -m tests.soak $(ROUNDS)

machines: $(READY) ## boot a machine of another kind and try it there: make machines ROW=root-v1 (tests/machines)
	@$(BIN)/python -m tests.machines $(ROW)

bench: $(READY) ## measure, beside docker where it runs
	@$(BIN)/python -m tests.bench $(ONLY)

clean: ## remove .venv and what tools left
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
