# Everything starts from a Python 3.11 or newer and nothing else: `make run` and `make test` set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := .tools
NATS_CLI := v0.5.1
BROWSER := tests/interop/browser
NATS_JS := $(TOOLS)/browser/node_modules/nats.ws/esm/nats.js
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help run test unit integration documentation packaging check lint types format engine-test interop bench docs wheel fuzz lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml requirements-dev.lock hatch_build.py $(wildcard engine/*.go) engine/go.mod engine/go.sum
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install -q --no-deps --editable .
	@touch $@

run: $(VENV)/.ready ## start a broker on a throw-away CA, and say what to try
	$(BIN)/choria-broker demo --folder .run

test: unit integration documentation engine-test ## run all tests of the suite

unit: $(VENV)/.ready ## tests of the pure code
	$(BIN)/python -m pytest -q -n auto tests/unit

integration: $(VENV)/.ready ## tests with a real engine
	$(BIN)/python -m pytest -q -n auto tests/integration

fuzz: $(VENV)/.ready ## a long run of the property tests
	FUZZ_FACTOR=100 $(BIN)/python -m pytest -q -n auto --timeout 5400 \
		tests/unit/access/test_properties.py tests/unit/config/test_resolve.py tests/unit/config/test_syntax.py

packaging: $(VENV)/.ready ## build the wheel, install it without Go, start it
	$(BIN)/python -m pytest -q tests/packaging

documentation: $(VENV)/.ready ## what README and docs show
	$(BIN)/python -m pytest -q -n auto tests/docs

engine-test: $(VENV)/.ready ## the engine's own tests
	$(BIN)/python tools/go.py -C engine vet ./...
	$(BIN)/python tools/go.py -C engine test ./...

check: lint types ## lint and types

lint: $(VENV)/.ready ## style, rings, dead imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.ready ## mypy over source and tests
	$(BIN)/mypy

format: $(VENV)/.ready ## put the source in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

interop: $(VENV)/.ready $(TOOLS)/nats $(TOOLS)/nsc $(TOOLS)/browser/.ready ## real choria programs (CHORIA_BIN), nsc, the nats CLI and a browser against the broker
	NATS_BIN=$(abspath $(TOOLS)/nats) NSC_BIN=$(abspath $(TOOLS)/nsc) NATS_JS=$(abspath $(NATS_JS)) $(BIN)/python -m pytest -q tests/interop

# Without npm the tests with a browser are skipped, and this is tried again the next time.
$(TOOLS)/browser/.ready: $(BROWSER)/package.json $(BROWSER)/package-lock.json $(BROWSER)/.npmrc
	mkdir -p $(@D)
	cp $^ $(@D)
	if command -v npm > /dev/null; then cd $(@D) && npm ci --omit=optional --no-audit --no-fund && touch .ready; \
		else echo "there is no npm: no tests with a browser"; fi

# Where nsc cannot be built its tests are skipped, and this is tried again the next time.
$(TOOLS)/nsc: tests/interop/nsc/go.mod tests/interop/nsc/go.sum | $(VENV)/.ready
	$(BIN)/python tools/go.py -C tests/interop/nsc build -o $(abspath $@) github.com/nats-io/nsc/v2 \
		|| echo "nsc cannot be built: no tests with it"

$(TOOLS)/nats: | $(VENV)/.ready
	GOBIN=$(abspath $(TOOLS)) $(BIN)/python tools/go.py install github.com/nats-io/natscli/nats@$(NATS_CLI)

bench: $(VENV)/.ready ## measure, as ratios against the bare nats-server
	$(BIN)/python -m bench

docs: $(VENV)/.ready ## write the generated reference pages
	$(BIN)/python tests/docs/reference_pages.py

wheel: $(VENV)/.ready ## a wheel with the engine inside, in dist/
	rm -rf dist
	$(BIN)/python -m pip wheel -q --no-deps --wheel-dir dist .

lock: ## pin the dependencies anew
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --group dev pyproject.toml \
		--generate-hashes --no-annotate --no-header --upgrade -o requirements-dev.lock

clean: ## remove everything the targets made
	rm -rf $(VENV) $(TOOLS) .run build dist src/choria_broker/_engine
