# The entry point for everything. `make demo` and `make test` are all that a newcomer needs.

SHELL := bash
PYTHON ?= python3
# coremltools wants an older NumPy than training does: an environment of its own.
MODELS_PYTHON ?= $(PYTHON)
# Tests look inside the modules, so there is one optimised, testable build for the program and the tests.
SWIFT_FLAGS := -c release -Xswiftc -enable-testing --explicit-target-dependency-import-check error
BINARY := .build/release/viseme
export VISEME_STRICT ?= 1

.PHONY: help setup build demo test test-training test-training-slow page test-client integrations integrations-slow test-cluster lint format bench bench-server soak avatar golden parity fuzz verdicts check-library package check-package docs sanitize clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## Install libav* and ONNX Runtime; does nothing twice. PROVIDER=openvino: OpenVINO, too
	@scripts/setup.sh

build: setup ## Build the program
	swift build $(SWIFT_FLAGS) --product viseme

demo: setup ## Build the program without its server, render the default avatar speaking; writes out/demo.mp4
	@# The server's packages are half of the building.
	swift build -c release --product viseme --disable-default-traits --scratch-path .build/demo
	@mkdir -p out
	@.build/demo/release/viseme render --avatar robin --audio samples/hello.wav -o out/demo.mp4 --force

test: setup ## Build and run all tests
	swift build $(SWIFT_FLAGS) --build-tests
	scripts/test.sh $(SWIFT_FLAGS) --skip-build --skip VisemeServerTests --skip VisemeStreamingTests
	@# These keep to a clock: one after the other, with the machine to themselves.
	scripts/test.sh $(SWIFT_FLAGS) --skip-build --filter VisemeServerTests --filter VisemeStreamingTests --no-parallel

test-training: ## Train at toy size, export, compare with PyTorch; two minutes (needs training/ installed: training/README.md)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest training/tests

test-training-slow: ## What takes longer: a preparation that is killed, a training that stops and goes on
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m slow training/tests

page: build ## Use the web page in Chromium: speak, watch, interrupt, render (needs chromium)
	$(PYTHON) -B Tests/Page/page_test.py --viseme $(BINARY) --screenshots out/page

test-client: build ## Test the Python client against the program, quickly; needs Python's standard library alone
	@cd integrations/viseme-client && VISEME_BINARY=$(CURDIR)/$(BINARY) $(PYTHON) -B -m unittest tests.test_stream tests.test_live.SessionTests

test-cluster: build ## Three servers behind HAProxy: capacities, a killed one, a draining one (haproxy)
	@PYTHONPATH=integrations/viseme-client VISEME_BINARY=$(CURDIR)/$(BINARY) $(PYTHON) -B Tests/Cluster/cluster_test.py

integrations: build ## Test the Python packages (installs LiveKit Agents, Pipecat and Ray; Chromium)
	@scripts/integrations.sh $(BINARY) $(PYTHON)

integrations-slow: build ## The same with 1,000 segments, a call of ten minutes, and a batch of ten whose workers are killed
	@scripts/integrations.sh $(BINARY) $(PYTHON) slow

lint: ## Check format, layering, the rules of the house, and the Python code
	@scripts/setup.sh lint
	@scripts/lint.sh

format: ## Reformat the Swift code
	swift format --in-place --recursive Package.swift Sources Snippets Tests Examples

bench: build ## Measure against the plain Python pipeline (needs training/ installed), or AGAINST_PACK=…; prints JSON
	@scripts/bench.sh $(BINARY) $(PYTHON)

bench-server: build ## Measure sessions at once: eight with one speaking, two speaking; prints JSON
	@$(PYTHON) Benchmarks/server.py --viseme $(BINARY) --sessions 8 --speaking 1
	@$(PYTHON) Benchmarks/server.py --viseme $(BINARY) --sessions 2 --speaking 2

soak: setup ## An hour of sessions, speech and viewers who vanish: memory must stay flat
	swift build $(SWIFT_FLAGS) --build-tests
	VISEME_MEASURE=1 swift test $(SWIFT_FLAGS) --skip-build --filter ServedProcessTests

avatar: ## Rebuild the default avatar from nothing; hours on two cores (needs training/ installed)
	PYTHON=$(PYTHON) training/recipes/robin/make_avatar.sh

golden: ## Regenerate the tests' golden files (needs training/ installed; model files: Tests/Fixtures/requirements.txt)
	$(PYTHON) Tests/Fixtures/make_golden.py
	$(PYTHON) Tests/Fixtures/parity.py --golden
	$(PYTHON) Tests/Fixtures/compact_pack.py
	$(MODELS_PYTHON) Tests/Fixtures/checkpoints.py
	$(MODELS_PYTHON) Tests/Fixtures/model_files.py
	$(MODELS_PYTHON) Tests/Fixtures/compact_models.py

parity: build ## Compare the Swift pipeline with the Python reference, live (needs training/ installed)
	$(PYTHON) Tests/Fixtures/parity.py --viseme $(BINARY)

fuzz: setup ## Fuzz every parser of model files for a minute each (Linux)
	@scripts/fuzz.sh 60

verdicts: build ## Measure the verdict on 200 fresh and some trained networks (needs training/ installed)
	$(PYTHON) Tests/Fixtures/verdict_bars.py --viseme $(BINARY)

check-library: setup ## Build an app from nothing that uses the engine without the server, and run it
	@scripts/check-library-user.sh

package: ## Make out/viseme_VERSION_ARCH.deb for Debian 12: nothing needed to run it but apt
	@scripts/package.sh

check-package: ## Install the package in a bare Debian 12, render, serve, remove (root, debootstrap)
	@scripts/check-package.sh out/viseme_*.deb

docs: build ## Write the documentation of every library to out/docs: articles and symbols, no link broken
	@scripts/docs.sh

sanitize: setup ## Run the unit tests with the thread and the address sanitizer; two full builds
	scripts/sanitize.sh thread
	scripts/sanitize.sh address

clean: ## Remove what was built
	rm -rf .build out
