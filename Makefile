# The commands of the house; `make` alone lists them.
PYTHON ?= python3
PORT ?= 8000
# The build of torch: cpu, or one with CUDA (cu130, auto).
TORCH ?= cpu
ARGS ?=
SECONDS ?= 600

BIN := .venv/bin
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python .ci/install.py
PIP_INSTALL := $(INSTALL) pip install --constraint constraints.txt
# Each stamp builds on the one before: the runtime, then the tools, then what bench compares with.
RUNTIME := .venv/.runtime
KERNEL := .venv/.kernel
DEV := .venv/.installed
BENCH := .venv/.bench
FUZZ := .venv/.fuzz

# Python keeps what it compiles: the tests start it a hundred times.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install serve test check openapi docs client bench fuzz audit soak clean
MAKEFLAGS += --no-builtin-rules --no-print-directory

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; do \
		printf '%-16s %s\n' "$$target" "$$what"; done

install: $(DEV) $(KERNEL) ## a .venv with the package, its tools and their pins (PYTHON=python3.12 for another, TORCH=cu130 for CUDA)
	@echo "Descent is installed in .venv"

serve: $(KERNEL) ## run the service (PORT=8000)
	@echo "Try, in another terminal:"
	@echo "  curl -H 'Content-Type: application/json' -d '{\"data\": {\"x\": [1,2,3,4,5], \"y\": [2.1,3.9,6.2,7.8,10.1]}}' 'localhost:$(PORT)/fit?format=text'"
	@exec $(BIN)/descent serve --host 127.0.0.1 --port $(PORT)

test: $(DEV) $(KERNEL) ## run the tests (ARGS="-k tutorial -n0"; ARGS="-m thorough" for those that take long)
	@$(BIN)/python -m pytest $(ARGS)

check: $(DEV) ## lint, format, types, layers, openapi.json, Dockerfile
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "some files want 'ruff format':"; \
		$(BIN)/ruff format --check .; exit 1; } >&2
	@$(BIN)/mypy --no-error-summary
	@out=$$($(BIN)/lint-imports --no-cache) || { echo "$$out" >&2; exit 1; }
	@$(BIN)/python -m service openapi --check
	@$(BIN)/python .ci/blocking_client.py --check
	@$(BIN)/hadolint Dockerfile
	@echo "check: all is well"

openapi: $(RUNTIME) ## write openapi.json
	@$(BIN)/python -m service openapi > .openapi.json.tmp || { rm -f .openapi.json.tmp; exit 1; }
	@mv .openapi.json.tmp openapi.json

docs: openapi $(DEV) ## write openapi.json, and the tree, the tables and the reference that docs/ has of the code
	@$(BIN)/python -m tests.architecture.tree --write
	@$(BIN)/python -m tests.docs.tables
	@$(BIN)/python -m tests.docs.reference

client: $(DEV) ## write the blocking client from the asynchronous one
	@$(BIN)/python .ci/blocking_client.py

bench: $(BENCH) $(KERNEL) ## measure against the alternatives
	@$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(FUZZ) $(KERNEL) ## look for what breaks the service, for longer than make test does (SECONDS=600)
	@DESCENT_FUZZ_S=$(SECONDS) $(BIN)/python -m pytest -n0 tests/api/test_schemathesis.py
	@$(BIN)/python -m tests.security.fuzz $(SECONDS)
	@$(BIN)/python -m pytest --hypothesis-profile long tests/engine/kernel/test_operators.py

audit: $(FUZZ) ## ask the advisories about every pin (needs the network)
	@$(BIN)/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip $(ARGS)

soak: $(DEV) $(KERNEL) ## ten minutes at saturation, with faults (ARGS="--minutes 1")
	@$(BIN)/python -m benchmarks.soak --faults $(ARGS)

clean: ## remove caches and build output; .venv stays
	@rm -rf $(KERNEL) build dist .*_cache .hypothesis .benchmarks .coverage .openapi.json.tmp *.egg-info
	@find . -name .venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

# torch first: it is the longest wait, and it is never replaced by what comes after.
# setuptools builds the package in the .venv itself, so that its version is pinned too.
$(RUNTIME): pyproject.toml constraints.txt
	@[ -x $(BIN)/pip ] || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Descent needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo 'not found')." \
			"Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv
	@echo "Installing Descent in .venv, once: about 0.6 GB to fetch with the CPU build of torch, 1.5 GB on disk, three to six minutes"
	@$(INSTALL) torch $(TORCH)
	@$(PIP_INSTALL) setuptools
	@$(PIP_INSTALL) --no-build-isolation --editable '.[server]'
	@touch $@

# The machine code lies beside the sources that it is of, and is made anew when one of them changes.
$(KERNEL): $(RUNTIME) $(wildcard service/engine/kernel/*.py)
	@$(BIN)/descent compile
	@touch $@

$(DEV): $(RUNTIME)
	@echo "Installing the development tools"
	@$(PIP_INSTALL) --no-build-isolation --editable '.[server,dev]'
	@touch $@

$(FUZZ): $(DEV)
	@echo "Installing what looks for faults"
	@$(PIP_INSTALL) --no-build-isolation --editable '.[server,fuzz]'
	@touch $@

$(BENCH): $(DEV)
	@echo "Installing what the benchmarks compare with"
	@$(PIP_INSTALL) --no-build-isolation --editable '.[server,bench]'
	@touch $@
