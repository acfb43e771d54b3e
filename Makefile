# make train                      sets up and trains the vanilla GAN on MNIST
# make train ARGS="--epochs 5"    passes arguments on to `zerosum train`
# make play                       opens that GAN in the browser (RUN=runs/… for another)
# make test                       sets up and runs the tests, one process a core
# make test ARGS="-m 'not slow'"  leaves out those that take seconds
# make attack                     sets up and damages, kills and starves runs in every way (hours)
# make fuzz SECONDS=600           sets up and makes wrong, for so long, whatever is read
# make lint                       sets up and checks style and types
# make browsers                   installs what the tests of pages need: browsers, node, packages
# make docs                       sets up and builds the docs site into build/site
# make verify-hashes              fetches what constraints.txt pins, but for torch, and checks its sha256s
# make audit                      asks for known vulnerabilities of what is pinned
# make release                    builds, checks and lists a release in dist/; publishes nothing

PYTHON ?= python3
BROWSERS := chromium firefox-esr nodejs npm
VENV ?= .venv
BIN := $(VENV)/bin
# pip shows what it downloads: torch alone takes minutes where the network is slow.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
SETTING_UP = "Setting up in $(VENV), once: a minute with a fast network, of which torch is most \
(200 MB for a CPU; with pip's default on Linux, the CUDA build, several GB and longer)."
SETUP_FILES := pyproject.toml constraints.txt zerosum/_version.py

.PHONY: train play test attack fuzz lint browsers docs verify-hashes audit release clean

train: $(VENV)/.runs
	@echo "Training. The default takes about eleven minutes on two fast cores; Ctrl-C saves and stops."
	$(BIN)/zerosum train $(ARGS)

play: $(VENV)/.runs
	$(BIN)/zerosum play $(or $(RUN),runs/vanilla-mnist) --open $(ARGS)

test: $(VENV)/.develops
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

attack: $(VENV)/.develops
	OMP_NUM_THREADS=1 $(BIN)/python tests/attack/corruption.py $(ARGS)
	$(BIN)/python tests/attack/bombs.py
	$(BIN)/python tests/attack/kill.py $(ARGS)
	$(BIN)/python tests/attack/surroundings.py $(ARGS)
	OMP_NUM_THREADS=1 $(BIN)/python tests/attack/state_machine.py

fuzz: $(VENV)/.develops
	OMP_NUM_THREADS=1 $(BIN)/python tests/attack/fuzz.py --seconds $(or $(SECONDS),600) $(ARGS)

browsers:
	@if which chromium firefox-esr node npm >/dev/null; then :; elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -q && apt-get install -qy --no-install-recommends $(BROWSERS); \
	else echo "Install these, as your system does it: $(BROWSERS)."; fi
	npm ci --prefix tests/browser --no-audit --no-fund

lint: $(VENV)/.develops
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.documents
	$(BIN)/python tools/docs_site.py $(ARGS)

# The files go: they are looked at, not kept. --only-binary, since building one would run its code.
verify-hashes: $(BIN)/python
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(BIN)/python -m pip download \
	  --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --quiet \
	  --dest "$$folder" --requirement requirements-hashed.txt && echo "All files are as pinned."

# --strict: a package that could not be looked up is a failure.
audit: $(VENV)/.develops
	$(BIN)/python -m pip_audit --strict --no-deps --disable-pip --requirement requirements-hashed.txt

release: $(VENV)/.develops
	$(BIN)/python tools/release.py $(ARGS)

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("zerosum needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: $(SETUP_FILES) | $(BIN)/python
	@echo $(SETTING_UP)
	$(INSTALL) --editable '.[export]'
	@touch $@

$(VENV)/.develops: $(SETUP_FILES) | $(BIN)/python
	@echo $(SETTING_UP)
	$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.runs

$(VENV)/.documents: $(SETUP_FILES) | $(BIN)/python
	@echo $(SETTING_UP)
	$(INSTALL) --editable '.[docs,export]'
	@touch $@ $(VENV)/.runs
