# make train                      sets up and trains the vanilla GAN on MNIST
# make train ARGS="--epochs 5"    passes arguments on to `zerosum train`
# make test                       sets up and runs the tests, one process a core
# make test ARGS="-m 'not slow'"  leaves out those that take seconds
# make lint                       sets up and checks style and types

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SETUP_FILES := pyproject.toml constraints.txt zerosum/_version.py

.PHONY: train test lint clean

train: $(VENV)/.runs
	$(BIN)/zerosum train $(ARGS)

test: $(VENV)/.develops
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

lint: $(VENV)/.develops
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("zerosum needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: $(SETUP_FILES) | $(BIN)/python
	@echo "Setting up in $(VENV): this downloads torch once and takes a minute or more."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.develops: $(SETUP_FILES) | $(BIN)/python
	@echo "Setting up in $(VENV): this downloads torch once and takes a minute or more."
	$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.runs
