# `make` shows the verbs. `make PYTHON=python3.12 test` chooses the interpreter.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready-$(notdir $(PYTHON))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What has no wheel is built by what the lock holds, never by what a build would download.
ARCHIVES := --no-binary openapi-ui-bundles --no-build-isolation
# The pages' own tools, by the hashes of package-lock.json; node and npm come with the environment.
TOOLS := node_modules/.package-lock.json
NODE := $(BIN)/node
GROUPS := proxy workflow operator analytics local dev

.PHONY: help setup run test faults mutants bench bench-full check lint format lock clean browser prometheus widget vendor images containers

help: ## show the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## start everything: make run [FLOW=file.json] [WORKFLOWS=2] [PROXIES=2]
	@exec $(BIN)/switchboard run $(if $(FLOW),--flow "$(FLOW)") $(if $(WORKFLOWS),--workflows "$(WORKFLOWS)") $(if $(PROXIES),--proxies "$(PROXIES)")

# What is run once more over a log of one stream; all else over one of four.
ONE_STREAM := $(addprefix tests/contract/,test_log.py test_subscription.py test_workflow.py)

# Three files at once: much of a test is waiting. In this order, since the longest files must not come last.
test: setup browser prometheus check ## check and test everything
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests/faults tests/journeys tests/bench tests/contract tests/properties tests/unit
	SWITCHBOARD_TEST_STREAMS=1 $(BIN)/python -m pytest -n 3 --dist loadfile $(ONE_STREAM)

bench: setup ## measure turns and idle connections: under 5 minutes
	@$(BIN)/python -m tests.bench

bench-full: setup ## measure everything: under 30 minutes
	@$(BIN)/python -m tests.bench --full

faults: setup ## kill, freeze, cut and fill everything on purpose (up to 30 minutes)
	$(BIN)/python -m tests.faults

mutants: setup ## take out one rule after the other: does a test notice? (up to 20 minutes)
	@$(BIN)/python -m tests.mutants

check: setup $(TOOLS) ## only the static checks; made documents are up to date
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.asyncapi --check
	$(BIN)/python -m tests.numbers_page --check
	$(BIN)/python -m deploy.observability --check
	$(NODE) node_modules/eslint/bin/eslint.js services/proxy/widget services/operator/static services/analytics/static tests/widget tests/console tests/dashboard
	$(NODE) node_modules/typescript/bin/tsc
	$(NODE) services/proxy/widget/build.js --check
	$(NODE) services/operator/static/vendor.js --check
	$(NODE) services/analytics/static/vendor.js --check

images: setup ## build the images of all services, and start each: needs buildah and podman
	@$(BIN)/python -m deploy.images

containers: setup ## the product in containers, brought up by podman-compose (some minutes)
	$(BIN)/python -m pytest tests/containers

widget: $(TOOLS) ## build the chat button from its modules
	$(NODE) services/proxy/widget/build.js

vendor: $(TOOLS) ## renew the libraries that the console and the dashboard use
	$(NODE) services/operator/static/vendor.js
	$(NODE) services/analytics/static/vendor.js

format: setup ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## renew requirements.lock (needs uv)
	UV_NO_CONFIG=1 uv pip compile pyproject.toml $(addprefix --group ,$(GROUPS)) --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet --output-file requirements.lock

clean: ## remove what can be made again (never the data)
	rm -rf $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(READY)

# The stamp's name holds the interpreter: another PYTHON makes the environment anew.
$(READY): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; Switchboard needs Python 3.11 or later (make PYTHON=...)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Switchboard needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + " (make PYTHON=...).")'
	@echo "Setting up $(VENV) with $(PYTHON): once, and again when requirements.lock changes."
	@$(PYTHON) -m venv --clear $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@awk '/^[a-z]/ { kept = /^pip==/ } kept' requirements.lock > $(VENV)/pip.lock
	@$(PIP) --require-hashes --only-binary :all: --requirement $(VENV)/pip.lock
	@$(PIP) --require-hashes --only-binary :all: --constraint requirements.lock hatchling setuptools
	@$(PIP) --require-hashes --only-binary :all: $(ARCHIVES) --requirement requirements.lock
	@$(PIP) --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(TOOLS): package-lock.json $(READY)
	@$(BIN)/npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || { \
		echo "The tools that build and check the chat button could not be installed (npm ci, see above)." >&2; exit 1; }
	@touch $@

browser:
	@deploy/local/chromium.sh

prometheus:
	@deploy/local/prometheus.sh
