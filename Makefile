# The two commands of the README: `make up` and `make test`. Both install what they need into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/.stamps
FRONTEND := dask_k8s_jupyter/labextension
UV := $(BIN)/uv --quiet
# Hundreds of interpreters are started by the tests: none of them should have to compile what it imports.
export UV_COMPILE_BYTECODE := 1
export PYTHONDONTWRITEBYTECODE :=
SOURCES_OF_FRONTEND := $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null)
PYTEST := $(BIN)/python -m pytest
# The file that takes longest has the first name: nobody waits for it alone at the end.
BY_FILE := --dist loadfile --no-loadscope-reorder --durations=12
# Text that other interpreters run, and built files.
NOT_FOR_DOCTESTS := $(addprefix --ignore=,operator/dask_k8s_operator/agent dask_k8s_jupyter/local/node/pod_site $(FRONTEND))

.PHONY: up test test-kube lint test-units test-python test-frontend test-integration test-ui \
	chromium kubectl manifests format clean lane-fast lane-integration lane-browser

up: $(STAMPS)/installed
	@exec $(BIN)/dask-k8s up $(ARGS)

# Three lanes side by side: the tests that start processes wait a good part of their time.
test: $(STAMPS)/development $(if $(filter 1,$(SKIP_BROWSER)),,chromium) kubectl
	@$(MAKE) --no-print-directory -j 3 lane-fast lane-integration lane-browser
	@echo "All tests passed"

lane-fast lane-integration lane-browser: lane-%:
	@$(MAKE) --no-print-directory $(TARGETS) 2>&1 | sed -u 's/^/$*: /'
lane-fast: TARGETS := lint test-frontend test-units
lane-integration: TARGETS := test-integration
lane-browser: TARGETS := test-ui

# ---------------------------------------------------------------- install

$(STAMPS)/tools: constraints.txt
	@echo "Installing the tools into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@mkdir -p $(STAMPS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@$(UV) pip install -c constraints.txt jupyterlab jupyter-builder
	@touch $@

$(STAMPS)/node-modules: $(STAMPS)/tools labextension/package.json labextension/yarn.lock
	@command -v node >/dev/null || { echo "Node.js 20 or newer is needed to build the sidebar"; exit 1; }
	@echo "Installing the sidebar's packages"
	@cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" jlpm install --immutable >$(CURDIR)/.venv/node-modules.log || { tail -30 $(CURDIR)/.venv/node-modules.log; exit 1; }
	@touch $@

$(STAMPS)/frontend: $(STAMPS)/node-modules $(SOURCES_OF_FRONTEND) labextension/tsconfig.json
	@echo "Building the sidebar"
	@cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" jlpm build:prod >$(CURDIR)/.venv/frontend.log || { tail -30 $(CURDIR)/.venv/frontend.log; exit 1; }
	@touch $@

$(STAMPS)/installed: $(STAMPS)/frontend pyproject.toml operator/pyproject.toml
	@echo "Installing both packages into .venv"
	@$(UV) pip install -c constraints.txt -e ./operator -e .
	@touch $@

$(STAMPS)/development: $(STAMPS)/installed
	@echo "Installing the test tools into .venv"
	@$(UV) pip install -c constraints.txt -e './operator' -e '.[dev]'
	@touch $@

chromium:
	@scripts/ensure-program chromium chromium "the sidebar is tested in a real browser; SKIP_BROWSER=1 leaves that out"

kubectl:
	@scripts/ensure-program kubectl kubernetes-client "the embedded Kubernetes is tested with the real kubectl"

# ---------------------------------------------------------------- test

lint: $(STAMPS)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-frontend: $(STAMPS)/frontend-checked
	cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" jlpm test

# What is only read needs no second reading before it changes.
$(STAMPS)/frontend-checked: $(STAMPS)/frontend $(shell find labextension -maxdepth 1 -type f) $(shell find labextension/test -type f)
	cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" jlpm lint
	@touch $@

test-python: test-units test-integration

test-units: $(STAMPS)/development
	$(PYTEST) tests/unit tests/simulation tests/parity
	$(PYTEST) --doctest-modules operator/dask_k8s_operator dask_k8s_jupyter $(NOT_FOR_DOCTESTS)

test-integration: $(STAMPS)/development kubectl
	$(PYTEST) tests/integration --kube=local -n 3 $(BY_FILE)

ifeq ($(SKIP_BROWSER),1)
test-ui:
	@echo "SKIP_BROWSER=1: the sidebar is NOT tested in a browser"
else
test-ui: $(STAMPS)/development chromium
	$(PYTEST) tests/ui
endif

# The same integration tests on whatever KUBECONFIG points at, with the image that DASK_TEST_IMAGE names.
test-kube: $(STAMPS)/development kubectl
	$(PYTEST) tests/integration --kube=current -n 4 $(BY_FILE)

# ---------------------------------------------------------------- upkeep

format: $(STAMPS)/development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Versions that the tests run with; the packages themselves accept ranges.
constraints.txt:
	$(BIN)/uv pip compile --universal --python-version 3.10 --extra dev --no-annotate --no-header \
		--no-emit-package dask-k8s-operator pyproject.toml operator/pyproject.toml scripts/build-tools.in -o $@

# operator/manifests/ is the output of the module that knows the contract; a test holds them equal.
manifests: $(STAMPS)/development
	$(BIN)/python -m dask_k8s_operator.resources.manifests operator/manifests

clean:
	rm -rf .venv labextension/node_modules labextension/lib $(FRONTEND)
