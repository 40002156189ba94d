# Everything anybody needs: make demo, make test, make check, make bench.
#
# Needs a Rust toolchain, Python >= 3.10 and Node >= 20; everything else is set up here. What is built and downloaded stays outside
# the checkout (set UNDERCROFT_CACHE to choose where), but for node's packages and what is made of the component for them.

SHELL := /bin/bash
UNDERCROFT_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/undercroft
PYTHON ?= python3
export CARGO_TARGET_DIR ?= $(UNDERCROFT_CACHE)/target
export PIP_DISABLE_PIP_VERSION_CHECK := 1

TAG := $(shell $(PYTHON) -c 'import sys; print(f"py{sys.version_info.major}{sys.version_info.minor}")' 2>/dev/null)
VENV := $(UNDERCROFT_CACHE)/venv-$(TAG)
BENCH_VENV := $(UNDERCROFT_CACHE)/bench-$(TAG)
IN_VENV := source $(VENV)/bin/activate &&

# An S3 server that others wrote, for tests and benches.
export UNDERCROFT_S3_SERVER := $(CARGO_TARGET_DIR)/release/undercroft-s3-server

# The WebAssembly components: with every store, with memory alone, over a key-value store of the host's; and one for tests.
export UNDERCROFT_COMPONENTS := $(UNDERCROFT_CACHE)/components
BUILD_COMPONENT := bindings/component/build.sh

.PHONY: help tools venv wheel install servers node-tools node component demo test test-rust test-python test-node test-component test-languages check check-rust check-python check-node bench stress

help:
	@echo 'make demo    real work on real input, in under a minute (after the first build)'
	@echo 'make test    every test, from Rust, Python, Node and the component'
	@echo 'make node    the npm package, in node/'
	@echo 'make check   formatting, lints, types, stubs'
	@echo 'make bench   ratios against the peers, and whether each bar holds; BENCHES="hit ways" for some of them'
	@echo 'make component  the WebAssembly components, in $(UNDERCROFT_COMPONENTS), and the npm subpath undercroft/component'
	@echo 'make stress  threads, deletes and evictions under valgrind'
	@echo
	@echo 'PYTHON=python3.13 for another Python'

tools:
	@tests/tools.sh $(PYTHON)

venv: $(VENV)/ready

$(VENV)/ready: tests/requirements.txt | tools
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -r tests/requirements.txt
	@touch $@

# The package as users get it: a wheel, installed.
wheel: venv
	@$(IN_VENV) cd python && rm -rf $(UNDERCROFT_CACHE)/wheels-$(TAG) && maturin build -q --release --locked --interpreter $(VENV)/bin/python --out $(UNDERCROFT_CACHE)/wheels-$(TAG)

install: wheel
	@$(VENV)/bin/pip install -q --force-reinstall --no-deps $(UNDERCROFT_CACHE)/wheels-$(TAG)/*.whl

servers: tools
	cargo build -q --release --locked -p undercroft-s3-server

node-tools: node/node_modules/.package-lock.json

node/node_modules/.package-lock.json: node/package-lock.json | tools
	@tests/tools.sh $(PYTHON) npm
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' || { echo "undercroft: node $$(node --version) is older than 20" >&2; exit 1; }
	cd node && npm install --no-save --silent --no-audit --no-fund
	@touch $@

# The npm package: its native half, and what TypeScript makes of the rest. `npm pack` in node/ packs it.
node: node-tools
	cargo build -q --release --locked -p undercroft-node
	bindings/node/place.sh $(CARGO_TARGET_DIR)/release/libundercroft_node.so node
	rm -rf node/dist && node/node_modules/.bin/tsc -p node

# What the tests of the npm package need: Keyv, what is built on it, and its own tests.
tests/node/node_modules/.package-lock.json: tests/node/package-lock.json node-tools
	cd tests/node && npm install --no-save --ignore-scripts --silent --no-audit --no-fund
	@touch $@

component: node-tools
	$(BUILD_COMPONENT) undercroft-component component $(UNDERCROFT_COMPONENTS)/undercroft.wasm
	$(BUILD_COMPONENT) undercroft-component component-small $(UNDERCROFT_COMPONENTS)/undercroft-memory.wasm --no-default-features
	$(BUILD_COMPONENT) undercroft-component component $(UNDERCROFT_COMPONENTS)/undercroft-middleware.wasm --features middleware
	$(BUILD_COMPONENT) undercroft-consumer component-small $(UNDERCROFT_COMPONENTS)/consumer.wasm
	bindings/component/transpile.sh $(UNDERCROFT_COMPONENTS)/undercroft.wasm node/component

demo: install node
	@$(VENV)/bin/python tests/demo/analyse.py

test: test-rust test-component test-python test-node test-languages

test-rust: tools
	cargo test -q --locked

test-python: install servers
	cd tests/python && $(VENV)/bin/python -X faulthandler -m pytest

test-node: node component servers tests/node/node_modules/.package-lock.json
	node/node_modules/.bin/tsc -p tests/node
	rm -rf tests/node/built && node/node_modules/.bin/tsc -p tests/node/tsconfig.built.json
	cd tests/node && node --expose-gc --test *.test.js built
	cd tests/node && node_modules/.bin/vitest run

# One selection of packages, so that cargo builds what they share once.
test-component: component servers
	cargo test -q --locked --release -p undercroft-component-tests -p undercroft-host -- --nocapture

# What one language puts, the others get.
test-languages: export UNDERCROFT_SHELVES := rust=$(CARGO_TARGET_DIR)/debug/undercroft-shelf:component=$(CARGO_TARGET_DIR)/release/undercroft-component-shelf:node=$(CURDIR)/tests/node/shelf.js
test-languages: install servers component node
	cargo build -q --locked -p undercroft-tests --bins
	cargo build -q --locked --release -p undercroft-component-tests -p undercroft-host --bins
	cd tests/languages && $(VENV)/bin/python -m pytest

check: check-rust check-python check-node

check-rust: venv
	cargo fmt --all --check
	source $(VENV)/bin/activate && cargo clippy -q --locked --workspace --exclude undercroft-bench-peers --all-targets -- -D warnings

PRETTIER := node/node_modules/.bin/prettier --config node/.prettierrc.json --log-level warn node/src 'tests/node/*.{js,ts}' 'tests/{demo,bench/node}/*.js'

check-node: node
	$(PRETTIER) --check
	cd node && node_modules/.bin/eslint --max-warnings 0 .

check-python: install
	cd python && $(VENV)/bin/ruff format --check . ../tests/python ../tests/languages ../tests/demo ../tests/bench && $(VENV)/bin/ruff check .
	cd python && $(VENV)/bin/mypy && $(VENV)/bin/mypy --no-incremental ../tests/python/typed.py
	cd $(UNDERCROFT_CACHE) && $(VENV)/bin/python -m mypy.stubtest undercroft._native --allowlist $(CURDIR)/tests/python/stubtest.txt

$(BENCH_VENV)/ready: tests/bench/requirements.txt | tools
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install -q -r tests/bench/requirements.txt
	@touch $@

tests/bench/node/node_modules/.package-lock.json: tests/bench/node/package-lock.json node-tools
	cd tests/bench/node && npm install --no-save --ignore-scripts --silent --no-audit --no-fund
	@touch $@

bench: wheel servers component node tests/bench/node/node_modules/.package-lock.json $(BENCH_VENV)/ready
	cargo build -q --release --locked -p undercroft-bench-peers
	cargo build -q --release --locked -p undercroft-component-tests -p undercroft-host --bins
	@$(BENCH_VENV)/bin/pip install -q --force-reinstall --no-deps $(UNDERCROFT_CACHE)/wheels-$(TAG)/*.whl
	cd tests && UNDERCROFT_BENCH_PEERS=$(CARGO_TARGET_DIR)/release/undercroft-bench-peers UNDERCROFT_COMPONENT_BENCH=$(CARGO_TARGET_DIR)/release/undercroft-component-bench $(BENCH_VENV)/bin/python -m bench $(BENCHES)

# What the interpreter itself does with memory is not ours to find fault with: only wrong addresses count.
stress: install
	@tests/tools.sh $(PYTHON) valgrind
	cd tests/python && PYTHONMALLOC=malloc valgrind -q --undef-value-errors=no --leak-check=no --error-exitcode=1 \
		$(VENV)/bin/python -m pytest -q -p no:cacheprovider test_calls.py test_hits.py test_memory.py test_concurrency.py
