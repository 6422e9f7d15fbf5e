# Everything starts from a Python 3.11 or newer and nothing else: `make run` and `make test` set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := .tools
NATS_CLI := v0.5.1
BROWSER := tests/interop/browser
AXE := $(TOOLS)/axe/node_modules/axe-core/axe.min.js
NATS_JS := $(TOOLS)/browser/node_modules/nats.ws/esm/nats.js
LOAD_TESTS ?= tests/integration
# How often a test with a real engine is run again when it failed: in CI once, and it is listed there as rerun. Such a test is
# a fault to mend, but none that says anything of the change that CI looks at.
RERUNS ?= 0
# So many tests for each core; an idle process takes tests over.
for_each_core = -n $(shell expr $(1) \* $$(nproc)) --dist worksteal --reruns $(RERUNS) -r aR
# Tests with a real engine wait more than they compute.
SIDE_BY_SIDE = $(call for_each_core,3)
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Each test of a command starts a Python. Compiling the source anew every time doubles what that costs.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help run test unit untraced real integration documentation packaging packages packages-test check lint engine-lint types format engine-test interop browser load ways-off soak bench docs site wheel fuzz lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml requirements-dev.lock hatch_build.py hatch_library.py $(wildcard engine/*.go) \
		$(wildcard engine/patches/*.patch) engine/go.mod engine/go.sum
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install -q --no-deps --editable .
	@touch $@

run: $(VENV)/.ready ## start a broker with a small simulated fleet, and say what to look at
	$(BIN)/choria-broker demo --folder .run

# The engine's tests wait more than they compute, and so go on beside those that only compute.
test: $(VENV)/.ready ## run the tests, but for those that "slow", "interop" and "browser" run
	$(MAKE) --no-print-directory --output-sync=target -j2 unit engine-test
	$(MAKE) --no-print-directory real

unit: $(VENV)/.ready ## tests of the pure code, and how much of it they reach
	rm -rf .coverage
	$(BIN)/coverage run -m pytest -q -n auto -m "not slow" tests/unit
	$(BIN)/python tools/pure_coverage.py

# What is reached is the same with every Python, and looking takes half as long again.
untraced: $(VENV)/.ready ## the same tests, without looking at what they reach
	$(BIN)/python -m pytest -q -n auto -m "not slow" tests/unit

real: $(VENV)/.ready ## the two that come next, as one run
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not slow" tests/integration tests/docs

integration: $(VENV)/.ready ## tests with a real engine
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not slow" tests/integration

slow: $(VENV)/.ready ## those of all of them that take many seconds each or measure time; CI runs them too
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m slow tests/unit tests/integration tests/docs

fuzz: $(VENV)/.ready ## a long run of the property tests
	FUZZ_FACTOR=100 $(BIN)/python -m pytest -q -n auto --timeout 5400 \
		tests/unit/access/test_properties.py tests/unit/access/test_conditions.py tests/unit/access/test_reach.py \
		tests/unit/config/resolve tests/unit/config/text/test_syntax.py tests/unit/federation

packages: $(VENV)/.ready $(TOOLS)/nfpm ## a deb and an rpm, in dist/
	$(BIN)/python -m tools.packages

packages-test: packages ## install them without network, start, ask, upgrade, remove; needs root
	$(BIN)/python -m pytest -q tests/packages

$(TOOLS)/nfpm: tools/nfpm/go.mod tools/nfpm/go.sum | $(VENV)/.ready
	$(BIN)/python tools/go.py -C tools/nfpm build -o $(abspath $@) github.com/goreleaser/nfpm/v2/cmd/nfpm

packaging: $(VENV)/.ready ## build the wheel, install it without Go, start it
	$(BIN)/python -m pytest -q tests/packaging

documentation: $(VENV)/.ready ## what README and docs show
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) tests/docs

# The race detector needs a C compiler.
engine-test: $(VENV)/.ready ## the engine's own tests and all that vet finds, with the race detector where there is a C compiler
	if command -v gcc > /dev/null; then CGO_ENABLED=1 $(BIN)/python tools/go.py -C engine test -vet=all -race -timeout 20m ./...; \
		else echo "there is no gcc: no race detector" && $(BIN)/python tools/go.py -C engine test -vet=all -timeout 20m ./...; fi

check: $(VENV)/.ready ## lint and types
	$(MAKE) --no-print-directory --output-sync=target -j2 lint engine-lint types

lint: $(VENV)/.ready ## style, rings, dead imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

engine-lint: $(VENV)/.ready $(TOOLS)/staticcheck ## form and soundness of the Go programs
	unformatted=$$($$($(BIN)/python tools/go.py env GOROOT)/bin/gofmt -l engine bench) && test -z "$$unformatted" \
		|| { echo "not in gofmt's form: $$unformatted"; exit 1; }
	$(BIN)/python tools/go.py -C engine env GOVERSION > /dev/null # makes the patched library
	cd engine && CGO_ENABLED=0 GOWORK=$(CURDIR)/engine/go.work GOFLAGS=-trimpath PATH="$$($(CURDIR)/$(BIN)/python ../tools/go.py env GOROOT)/bin:$$PATH" \
		$(abspath $(TOOLS))/staticcheck ./...

$(TOOLS)/staticcheck: tools/staticcheck/go.mod tools/staticcheck/go.sum | $(VENV)/.ready
	$(BIN)/python tools/go.py -C tools/staticcheck build -o $(abspath $@) honnef.co/go/tools/cmd/staticcheck

types: $(VENV)/.ready ## mypy over source and tests
	$(BIN)/mypy

format: $(VENV)/.ready ## put the source in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Programs that wait for each other, with deadlines of their own: two tests for each core.
interop: $(VENV)/.ready $(TOOLS)/nats $(TOOLS)/nsc $(TOOLS)/browser/.ready ## real choria programs (CHORIA_BIN), nsc, the nats CLI and a browser against the broker
	NATS_BIN=$(abspath $(TOOLS)/nats) NSC_BIN=$(abspath $(TOOLS)/nsc) NATS_JS=$(abspath $(NATS_JS)) $(BIN)/python -m pytest -q \
		$(call for_each_core,2) tests/interop

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

browser: $(VENV)/.ready $(TOOLS)/axe/.ready ## the dashboard in a Chromium, with pictures in build/screenshots
	AXE=$(abspath $(AXE)) $(BIN)/python -m pytest -q --reruns $(RERUNS) -r aR tests/browser

# Without npm nobody looks at the accessibility of pages, and this is tried again the next time.
$(TOOLS)/axe/.ready: tests/browser/axe/package.json tests/browser/axe/package-lock.json tests/browser/axe/.npmrc
	mkdir -p $(@D)
	cp $^ $(@D)
	if command -v npm > /dev/null; then cd $(@D) && npm ci --omit=optional --no-audit --no-fund && touch .ready; \
		else echo "there is no npm: no look at accessibility"; fi

load: $(VENV)/.ready ## the integration tests in random order, with three busy loops beside them
	for loop in 1 2 3; do (while :; do :; done) & loops="$$loops $$!"; done; trap "kill $$loops" EXIT; \
		$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) --random-order $(LOAD_TESTS)

ways-off: $(VENV)/.ready ## tests of decisions and with an engine, without conditions and remembered verdicts
	WAYS=off $(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not slow" tests/unit/access tests/integration

soak: $(VENV)/.ready ## long forms: floods of 20 seconds of each kind, 2,000 clients that come back, much garbage, 200 reloads, 500 busy connections, 10,000 sessions, 20 storms of clients
	UPGRADES=20 UPGRADE_CONNECTIONS=500 $(BIN)/python -m pytest -q --timeout 600 tests/integration/test_upgrade.py
	FLOOD_SECONDS=20 $(BIN)/python -m pytest -q tests/integration/test_floods.py
	FAULTS_CLIENTS=2000 FAULTS_FACTOR=20 $(BIN)/python -m pytest -q tests/integration/test_faults_restart.py tests/integration/test_faults_peers.py
	RELOADS=200 $(BIN)/python -m pytest -q tests/integration/test_reload.py -k many_reloads
	BUSY=500 $(BIN)/python -m pytest -q tests/integration/test_reload.py -k nobody_is_dropped
	$(BIN)/python -m bench.many_storms --runs 20
	SESSIONS=10000 $(BIN)/python -m pytest -q -s tests/integration/test_many_sessions.py

bench: $(VENV)/.ready ## measure, as ratios against the bare nats-server
	$(BIN)/python -m bench

docs: $(VENV)/.ready ## write the generated reference pages
	$(BIN)/python tests/support/reference_pages.py

# An environment of its own: nothing of what makes the site is needed for anything else.
$(TOOLS)/site/.ready: requirements-docs.lock
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q --require-hashes -r requirements-docs.lock
	touch $@

site: $(TOOLS)/site/.ready ## the documentation as a site, in build/site; fails on every warning
	NO_MKDOCS_2_WARNING=1 $(TOOLS)/site/bin/mkdocs build -q --strict
	$(TOOLS)/site/bin/python tools/site/looked_at.py build/site

wheel: $(VENV)/.ready ## a wheel with the engine inside, in dist/
	rm -rf dist
	$(BIN)/python -m pip wheel -q --no-deps --wheel-dir dist .

lock: ## pin the dependencies anew
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --group dev pyproject.toml \
		--generate-hashes --no-annotate --no-header --upgrade -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 pyproject.toml --constraint requirements-dev.lock \
		--generate-hashes --no-annotate --no-header -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --group pyproject.toml:docs \
		--generate-hashes --no-annotate --no-header --upgrade -o requirements-docs.lock

clean: ## remove everything the targets made
	rm -rf $(VENV) $(TOOLS) .run .coverage build dist engine/go.work* src/choria_broker/_engine
