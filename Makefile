# `make demo` and `make test` set up all they need in .venv; nothing is installed outside this folder.

VENV := .venv
BIN := $(VENV)/bin
# The first Python of 3.11 or later that really runs (a version manager's shim may not); PYTHON=… to choose.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 /usr/local/bin/python3 /usr/bin/python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v $$p; break; }; done)
# Pythons that the layer's bytecode is compiled for; those that are not there are left out, and the manifest says so.
LAYER_PYTHONS ?= python3.11 python3.12 python3.13 python3.14
LAYER := dist/hoptrace-layer-x86_64.zip
LAYER_ARM := dist/hoptrace-layer-arm64.zip
LAYER_SOURCES := $(shell find tracer/hoptrace collector/hoptrace_collector layer -type f -not -path '*/__pycache__/*')

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak pythons lint layer bench docs lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## make .venv with everything that the targets below need

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "hoptrace needs Python 3.11 or later with venv; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON), about a minute the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.ready $(LAYER) ## run the order application on an emulated AWS, show its trace, metrics and alert
	@$(BIN)/hoptrace demo

test: lint $(LAYER) ## lint, types, import contracts, tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile -m "not soak"

soak: $(VENV)/.ready $(LAYER) pythons ## the long tests, and all tests on every other Python of Lambda's that is here
	@$(BIN)/python -m pytest -m soak --timeout 3600

pythons: $(VENV)/.ready $(LAYER) ## all tests on every other Python of Lambda's that is here
	@$(BIN)/python layer/build.py --locate $(LAYER_PYTHONS) | while read -r name python; do \
		$(BIN)/python -c "import sys; sys.exit('python%d.%d' % sys.version_info[:2] == '$$name')" || continue; \
		echo "== $$name ($$python)"; \
		test -x .venv-$$name/bin/python || "$$python" -m venv .venv-$$name || exit 1; \
		.venv-$$name/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt </dev/null || exit 1; \
		.venv-$$name/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . </dev/null || exit 1; \
		.venv-$$name/bin/python -m pytest -n 2 --dist loadfile -m "not soak" -q </dev/null || exit 1; \
	done

lint: $(VENV)/.ready ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

layer: $(LAYER) $(LAYER_ARM) ## write dist/hoptrace-layer-x86_64.zip and -arm64.zip

dist/hoptrace-layer-%.zip: $(VENV)/.ready $(LAYER_SOURCES)
	@$(BIN)/python layer/build.py --arch $* --output $@ --allow-missing $(addprefix --python ,$(LAYER_PYTHONS))

bench: $(VENV)/.ready $(LAYER) ## cold start with everything attached against none, on one and two CPUs; what a hop costs, and alerts
	@$(BIN)/python -m benchmarks.coldstart
	@$(BIN)/python -m benchmarks.hops
	@$(BIN)/python -m benchmarks.collector
	@$(BIN)/python -m benchmarks.alerts
	@test "$$(id -u)" != 0 || $(BIN)/python -m benchmarks.answers

docs: ## write docs/settings.md from docs/settings.toml, docs/hops.md, docs/metrics.md and docs/alerts.md from the code, docs/patterns.md from the examples
	@python3 docs/settings.py
	@python3 docs/hops.py
	@python3 docs/metrics.py
	@python3 docs/alerts.py
	@python3 docs/patterns.py

lock: $(VENV)/.ready ## write the lock files anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --extra local pyproject.toml requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" layer/requirements.in -o layer/requirements.txt

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
