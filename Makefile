# Two commands do everything on a fresh machine: `make reproduce` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# 3.12 and 3.13 will do, too; the reference run is made with 3.11.
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PROFILE ?= book

# One fixed thread count: sums in another order give other bits. One a process, because the notebooks
# run side by side, and more threads than cores wait for each other.
export LLMREC_THREADS ?= 1
export OMP_NUM_THREADS := $(LLMREC_THREADS)
export OPENBLAS_NUM_THREADS := $(LLMREC_THREADS)
export MKL_NUM_THREADS := $(LLMREC_THREADS)
# Threads that wait must not hold the core of one that works: on a shared machine that is half the time.
export OMP_WAIT_POLICY := PASSIVE
export PYTHONHASHSEED := 0
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup lock quick fetch reproduce book pdf test lint unit notebooks smoke gates publish clean

help:
	@echo "make reproduce  set up, fetch, run every notebook, compare each number, render the book"
	@echo "make test       set up, lint, types, tests, notebooks under nbval and in smoke, gates of the book"
	@echo "make quick      set up, lint, types and fast tests; fetches no data"
	@echo "make book       render the committed notebooks into _build/html"
	@echo "make pdf        print the whole book into _build/book.pdf (needs Chromium)"
	@echo "make lock       resolve requirements.lock anew, with hashes"
	@echo "make clean      remove _run and _build (the cache and .venv stay)"

.venv/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 with venv, or run make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --no-deps --require-hashes -r requirements.lock
	$(PIP) -e .
	touch $@

setup: .venv/.installed

# The lock holds every package by version and hash but torch and the CUDA libraries that its ordinary
# Linux build brings: `pip install -e .` adds torch at the version that pyproject.toml pins, in the
# build that the machine's settings prefer (a CPU build is enough).
TORCH := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti \
    cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 \
    nvjitlink nvshmem-cu13 nvtx)
lock: setup
	$(PIP) uv
	cp requirements.lock _lock.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header --quiet $(addprefix --no-emit-package ,$(TORCH)) -o _lock.txt
	(echo "# Made by: make lock"; cat _lock.txt) > requirements.lock
	rm _lock.txt

fetch: setup
	$(BIN)/llmrec fetch

reproduce: fetch
	$(BIN)/llmrec reproduce --profile $(PROFILE)
	$(MAKE) --no-print-directory book

book: setup
	$(BIN)/python book/build.py

pdf: setup
	$(BIN)/python book/pdf.py

# The door of everyday work: nothing is fetched, nothing runs that needs a model or a dataset.
quick: lint
	$(BIN)/pytest tests --ignore tests/book -m "not component and not mirror" -n 2

test: lint unit notebooks smoke gates

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=notebooks $(BIN)/lint-imports

unit: fetch
	$(BIN)/pytest tests --ignore tests/book

# Every notebook in the profile of the committed outputs; its numbers are held against the reference.
# The slowest of any published run begin first.
notebooks: fetch
	rm -rf _run/nbval
	$(BIN)/python -c "from llmrec.repro import reference as r; print(*r.longest_first(r.Layout.find()), sep='\n')" \
	    | LLMREC_RECORDS=$(CURDIR)/_run/nbval xargs -n 1 -P 2 \
	    $(BIN)/pytest --nbval-lax --nbval-cell-timeout=900 -o timeout=0 -p no:cacheprovider
	$(BIN)/llmrec check _run/nbval

smoke: fetch
	$(BIN)/llmrec reproduce --profile smoke

gates: book
	$(BIN)/pytest tests/book

publish: setup
	$(BIN)/llmrec publish --profile book

clean:
	rm -rf _run _build
