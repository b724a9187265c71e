# Everything starts from nothing: python3 (3.11 or later, with venv) is all that is needed.
#   make demo    run the whole system on loopback with sample accounts; Ctrl-C ends it
#   make test    run the tests       make lint   style, types, import contract
#   make check   lint + test         make bench  measure this machine (no peer needed)
#   make stress  many IMAP clients at random on a server of its own, everything checked (SECONDS=600 CLIENTS=16)

# The distribution's Python is built with PGO and runs this 1.2 to 1.4 times faster than a plain source build.
PYTHON ?= $(shell for p in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto

SECONDS ?= 300
CLIENTS ?= 12
SEED ?= 0

.PHONY: demo test lint check bench stress clean help

help:
	@sed -n '2,5p' Makefile | cut -c3-

$(VENV)/.run: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Postroom needs Python 3.11 or later with the venv module (Debian: apt install python3 python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "Installing Postroom into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m pip download -q --disable-pip-version-check -c constraints.txt --no-deps --no-binary :all: \
		-d $(VENV)/vectors pyspf || echo "The source archives with public test vectors could not be fetched; their tests skip." >&2
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/postroom demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo

check: lint test

bench: $(VENV)/.dev
	$(BIN)/python bench/run.py
	$(BIN)/python bench/bench_sieve.py
	$(BIN)/python bench/bench_trace.py

stress: $(VENV)/.dev
	$(BIN)/python -m postroom.testing.stress --seconds $(SECONDS) --clients $(CLIENTS) --seed $(SEED)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis
