# Each target makes its own virtual environment and installs all it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
BAKENN := build/bakenn

C_SOURCES := $(shell git ls-files '*.c' '*.h' 2>/dev/null)

.PHONY: help test quick random lint format demo onnx-suite zoo bench bench-engine docs clean

help: ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Remade when the dependencies change.
$(VENV): $(VENV)/.installed
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

test: $(VENV)/.installed ## Run every test
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

quick: $(VENV)/.installed ## Run the tests that need neither a foreign runtime nor a tool
	$(BIN)/python -m pytest -n $(JOBS) -m 'not (oracle or emulator or toolchain or keras or onnx or torch or slow or e2e or browser)'

random: $(VENV)/.installed ## Run the tests that draw at random on other draws than the usual ones
	$(BIN)/python -m pytest -n $(JOBS) --hypothesis-profile=random -m hypothesis

lint: $(VENV)/.installed ## Check format, style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(C_SOURCES),$(BIN)/clang-format --dry-run --Werror $(C_SOURCES))

format: $(VENV)/.installed ## Format Python and C, renew the generated pages
	$(BIN)/python -m docs.generate
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .
	$(if $(C_SOURCES),$(BIN)/clang-format -i $(C_SOURCES))

demo: $(VENV)/.installed ## Train, squeeze, compile and emulate a small network on real data
	$(BIN)/smidgen demo

onnx-suite: $(VENV)/.installed ## Run the cases that ship with onnx, renew docs/onnx-suite.md
	$(BIN)/python -W ignore -m tests.frontends.onnx.suite --write

bench: $(VENV)/.installed $(BAKENN) ## Measure the figures kept in benchmarks/
	$(BIN)/python -m benchmarks

bench-engine: $(VENV)/.installed $(BAKENN) ## Measure the engine beside another one, on an emulated Cortex-M4
	$(BIN)/python -m benchmarks engine

# The engine we are compared with, apart from our own environment.
$(BAKENN): $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $@ bakenn==1.0.0 tflite==2.18.0
	touch $@

zoo: $(VENV)/.installed ## Take every model of the zoo through, and renew docs/zoo.md
	$(BIN)/python -m benchmarks zoo

docs: $(VENV)/.installed ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## Remove what the other targets made, but for the virtual environment
	rm -rf build dist site out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
