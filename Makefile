# `make demo` and `make test` each set up everything that they need; see scripts/setup.sh.
SHELL := /bin/bash
BIN := .venv/bin

# Debian keeps name servers where only root's PATH looks.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# The steps of a target have an order, also under `make -j`.
.NOTPARALLEL:

.PHONY: help demo panel panel-stop test check soak test-lowest coverage setup lint types imports texts docs pictures clean

help:
	@echo 'make demo   issue and renew a certificate with a real ACME server on this machine'
	@echo 'make panel  a Django panel with the SSL section to look at; make panel-stop ends it'
	@echo 'make test   every check that CI makes'
	@echo 'make check  the fast checks: lint, types, imports, unit, contract and architecture tests'
	@echo 'make soak   the tests that take minutes: stress, long simulations, and property tests with many examples'
	@echo 'make test-lowest  the unit tests, the test kit and the documentation with the oldest packages that pyproject.toml allows'
	@echo 'make coverage  the tests, with the lines that none of them runs'
	@echo 'make setup  only prepare .venv and the servers that tests use'
	@echo 'make texts  bring the translations up to date with the texts of the code'
	@echo 'make docs   build the documentation into docs/_build; make pictures: draw its pictures'
	@echo 'make lint   ruff; make types: mypy; make imports: import-linter'
	@echo 'make clean  remove the virtualenvs and what tools left behind'

demo:
	@scripts/setup.sh demo
	@$(BIN)/certcore demo

panel:
	@scripts/setup.sh demo
	@$(BIN)/python examples/panel/run.py start

panel-stop:
	@$(BIN)/python examples/panel/run.py stop

# Imports are checked by tests/architecture, which runs import-linter. The script runs setup, lint and types, too.
test:
	@scripts/test.sh

check: setup
	@scripts/check.sh

soak: setup
	$(BIN)/pytest -m soak --timeout 3600
	$(BIN)/pytest -n 2 --dist loadgroup --hypothesis-profile=deep -m 'hypothesis and not soak' --timeout 3600

test-lowest: setup
	@scripts/test_lowest.sh

coverage: setup
	$(BIN)/pytest -n 2 --dist loadgroup --cov --cov-report=term

setup:
	@scripts/setup.sh test

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-logo

texts: setup
	$(BIN)/python scripts/texts.py update
	$(BIN)/python scripts/page_texts.py update

docs: setup
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	@echo 'docs/_build/index.html'

pictures: setup
	$(BIN)/python docs/pictures.py

clean:
	rm -rf .venv .venv-lowest .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache \
		build dist htmlcov docs/_build docs/reference/api
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
