# encoderfleet: `make demo` and `make test` are all that a fresh machine needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.installed
SYSTEM := $(VENV)/.system
COMPILE = $(UV) pip compile --quiet --no-emit-index-url --no-annotate --universal --python-version 3.11 \
  --custom-compile-command "make requirements"
# A worker has a control plane and encoders of its own, which keep a core busy. Files go to workers in their order: else
# those with the fewest tests come last, which are those that take minutes. A test has longer than alone.
TEST_WORKERS ?= 2
SPREAD = --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --timeout 300
CLUSTER_ARGS ?= --nodes 2x32cpu:8gpu 2x32cpu

export PYTHONUNBUFFERED := 1
# Where it is set, every process compiles PyTorch and transformers anew: 10 seconds more for each start of an encoder.
unexport PYTHONDONTWRITEBYTECODE
# As pip does: behind a proxy that signs with a certificate of its own, only the system's store knows it.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= 1
endif

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-zA-Z0-9_-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

# Before all else: it brings Python's venv module where that is missing.
$(SYSTEM): scripts/system-packages
	@PYTHON=$(PYTHON) scripts/system-packages
	@mkdir -p $(VENV)
	@touch $@

$(UV): | $(SYSTEM)
	@echo "==> creating $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements/dev.txt)"

$(STAMP): requirements/dev.txt pyproject.toml | $(UV)
	@echo "==> installing pinned Python packages (about 6 GB with PyTorch; a minute where they are cached)"
	@$(UV) pip sync --quiet --python $(BIN)/python requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: setup
setup: $(SYSTEM) $(STAMP) ## Install the system libraries (FFmpeg) and the pinned Python packages into .venv

.PHONY: demo
demo: setup ## Run the main job on this machine: encoders, real photos, video and speech
	@$(BIN)/python -m scripts.demo

.PHONY: lint
lint: setup ## Format check, lint, types and the walls between the packages
	@echo "==> ruff"; $(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@echo "==> mypy --strict"; $(BIN)/mypy
	@echo "==> import-linter"; $(BIN)/lint-imports --no-cache | tail -n 12

.PHONY: format
format: setup ## Rewrite the sources in the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.PHONY: test
test: lint ## Lint, types, then every test (real processes, sockets and files)
	@# Where it cannot be built its tests are skipped, save in CI.
	@$(BIN)/python -m tests.cluster build || [ -z "$${CI:-}" ]
	@echo "==> pytest"; $(BIN)/python -m pytest $(SPREAD) $(PYTEST_ARGS)

.PHONY: interop
interop: setup ## Install the real SGLang (6 GB, once) and test with it on this machine's CPU (13 minutes on two busy cores)
	@# Where it cannot be installed its tests are skipped; in CI only where a wheel cannot be got.
	@$(BIN)/python -m tests.interop install || [ -z "$${CI:-}" ]
	@echo "==> pytest tests/interop"; $(BIN)/python -m pytest tests/interop $(PYTEST_ARGS)

.PHONY: e2e
e2e: setup ## Start real nodes on this machine (root; Linux), and do there all that a user does
	@$(BIN)/python -m tests.node check
	@scripts/node-packages
	@$(BIN)/python -m tests.monitoring
	@$(BIN)/python -m tests.scalers metrics-adapter
	@$(BIN)/python -m tests.node run $(abspath $(BIN)/python) -m pytest tests/end_to_end $(PYTEST_ARGS)

.PHONY: e2e-keda
e2e-keda: setup ## Build KEDA (once: 15 minutes on two slow cores), and let it scale a pool on such nodes
	@$(BIN)/python -m tests.node check
	@scripts/node-packages
	@$(BIN)/python -m tests.monitoring
	@$(BIN)/python -m tests.scalers keda
	@$(BIN)/python -m tests.node run $(abspath $(BIN)/python) -m pytest tests/end_to_end/keda $(PYTEST_ARGS)

.PHONY: control-plane
control-plane: setup ## Build Kubernetes' control plane for the tests (once: 15 minutes on two slow cores)
	@$(BIN)/python -m tests.cluster build

.PHONY: cluster
cluster: setup ## Start a real Kubernetes control plane with pretend nodes on this machine
	@$(BIN)/python -m tests.cluster up $(CLUSTER_ARGS)

.PHONY: bench-pipeline
bench-pipeline: setup ## Measure the encoder against today's way on this machine (10 minutes; BENCH_ARGS=--quick: two)
	@$(BIN)/python -m bench.pipeline $(BENCH_ARGS)

.PHONY: bench-tower
bench-tower: setup ## Measure a full-size tower's forward passes against transformers (wants a GPU)
	@$(BIN)/python -m bench.tower $(BENCH_ARGS)

.PHONY: bench-sglang
bench-sglang: setup ## Measure the encoder against SGLang's own, the real one (20 minutes; BENCH_ARGS=--quick: five)
	@$(BIN)/python -m bench.sglang $(BENCH_ARGS)

.PHONY: bench-operator
bench-operator: setup control-plane ## Measure the operator with 1,000 pools and 5,000 pretend nodes (10 minutes)
	@$(BIN)/python -m bench.operator $(BENCH_ARGS)

.PHONY: crds
crds: setup ## Make crds/encoderpools.yaml and the chart's copy of it from the typed API
	@mkdir -p crds charts/encoder-fleet/crds
	@$(BIN)/encoderfleet crd | tee crds/encoderpools.yaml > charts/encoder-fleet/crds/encoderpools.yaml

.PHONY: dashboards
dashboards: setup ## Make the chart's Grafana dashboards from dashboards/
	@$(BIN)/python -m dashboards

.PHONY: requirements
requirements: $(UV) ## Pin the newest packages that pyproject.toml allows
	@$(COMPILE) --upgrade --all-extras pyproject.toml -o requirements/dev.txt
	@$(COMPILE) --upgrade tests/interop/requirements.in -o tests/interop/requirements.txt
	@# For images, by hash; the same versions as above. The first is what builds them.
	@$(COMPILE) --generate-hashes --constraints requirements/dev.txt requirements/build.in -o requirements/build.txt
	@$(COMPILE) --generate-hashes --constraints requirements/dev.txt --extra operator \
	  --excludes requirements/not-in-operator.txt pyproject.toml -o requirements/operator.txt
	@$(COMPILE) --generate-hashes --constraints requirements/dev.txt --extra encoder pyproject.toml -o requirements/encoder.txt

.PHONY: clean
clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
