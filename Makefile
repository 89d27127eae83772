# What people and CI type. `make help` lists it.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/keepwatch/target
export VENV ?= $(CARGO_TARGET_DIR)/venv
FUZZ_SECONDS ?= 60
CARGO_FLAGS ?= --locked

.DEFAULT_GOAL := help
.PHONY: help setup build demo wheel test test-dashboard test-rust test-outside test-doc test-reader test-python test-wheel test-portable test-rebuild check fmt lint doc deny secrets bench bench-cameras bench-mount bench-recognition bench-remote bench-server bench-python fuzz-smoke clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what building and testing need and this machine lacks
	@scripts/setup --test

build: ## The release binary
	@scripts/setup --build
	cargo build $(CARGO_FLAGS) --release --package keepwatch
	@echo "built $(CARGO_TARGET_DIR)/release/keepwatch"

# GStreamer is the machine's own, with its plugins: a wheel with cameras is for this machine. One
# without gets its libcrypto, for which maturin changes the library that cargo has built where it is:
# so it is built where nothing else is. The tests take the profile that is faster to build.
PROFILE ?= release
PORTABLE = $(filter 0,$(KEEPWATCH_VISION))
WHEELS ?= $(CURDIR)/dist
wheel: ## The Python wheel, with cameras, into dist/ (KEEPWATCH_VISION=0: without them)
	@scripts/setup --python
	PATH="$(VENV)/bin:$$PATH" $(if $(PORTABLE),CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/portable") maturin build --locked --profile "$(PROFILE)" --out "$(WHEELS)" \
		--interpreter "$(VENV)/bin/python" $(if $(PORTABLE),,--features vision --auditwheel skip)

demo: ## Backs up a real directory, watches a live camera, restores both, and compares
	@scripts/demo

test: setup test-dashboard test-rust test-outside test-doc test-reader test-python ## All tests

# Published vectors and genuine files of the predecessor are not part of the project. Where they
# are missing the tests that need them are left out, and that is said.
export KEEPWATCH_TESTDATA ?= $(abspath ../shared/testdata)
export INSTA_WORKSPACE_ROOT = $(CURDIR)
HAS_TESTDATA := $(wildcard $(KEEPWATCH_TESTDATA)/vectors)
# Where the library of ONNX Runtime is, which `setup` has installed.
ONNXRUNTIME = $(lastword $(sort $(wildcard $(VENV)/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so*)))
test-rust test-outside test-wheel: export ORT_DYLIB_PATH = $(ONNXRUNTIME)
# Where servers are that `setup` has installed from PyPI.
test-rust: export KEEPWATCH_SERVERS = $(CARGO_TARGET_DIR)/venv-outside/bin
test-rust:
	$(if $(HAS_TESTDATA),,@echo "no test data at $(KEEPWATCH_TESTDATA): leaving out the tests of published vectors, genuine files and real video")
	cargo nextest run $(CARGO_FLAGS) --workspace --features keepwatch-core/postgres $(if $(HAS_TESTDATA),,-E 'not (test(/wycheproof::|genuine|^vlc::/) or binary(film))')

# What the dashboard decides, apart from a browser.
test-dashboard:
	node --test crates/server/dashboard/tests/

# The server as people run it: the binary that the Rust tests have just built, clients, a browser.
# What the browser has seen is in tour/.
test-outside:
	KEEPWATCH_BIN="$(CARGO_TARGET_DIR)/debug/keepwatch" TOUR="$(CARGO_TARGET_DIR)/tour" \
		AXE="$(lastword $(sort $(wildcard $(CARGO_TARGET_DIR)/axe-core-*.js)))" \
		"$(CARGO_TARGET_DIR)/venv-outside/bin/python" -B -m pytest --quiet -rs -p no:cacheprovider crates/server/tests/outside

test-doc:
	cargo test $(CARGO_FLAGS) --workspace --doc

# Uses the binary that the Rust tests have just built.
test-reader:
	KEEPWATCH_BIN="$(CARGO_TARGET_DIR)/debug/keepwatch" "$(VENV)/bin/python" examples/test_read_repository.py

# What people install, in an environment that has nothing else of ours.
test-python: test-wheel test-portable

PYTEST = KEEPWATCH_BIN="$(CARGO_TARGET_DIR)/debug/keepwatch" bin/python -m pytest --quiet "$(CURDIR)/python/tests"
# Not in `wheels`, where maturin puts what pip asks it for.
WHEELS_TESTED = $(CARGO_TARGET_DIR)/wheels-tested
test-wheel:
	rm -rf "$(WHEELS_TESTED)/vision"
	$(MAKE) wheel PROFILE=dev WHEELS="$(WHEELS_TESTED)/vision" KEEPWATCH_VISION=1
	cargo build $(CARGO_FLAGS) --package keepwatch-vision --example rtsp_camera
	scripts/fresh-venv "$(CARGO_TARGET_DIR)/venv-wheel" "$(WHEELS_TESTED)"/vision/*.whl
	cd "$(CARGO_TARGET_DIR)/venv-wheel" && $(PYTEST)

# A wheel for any Linux of the same kind, and what pip makes of the sources where GStreamer is not
# to be had.
test-portable:
	rm -rf "$(WHEELS_TESTED)/portable"
	$(MAKE) wheel PROFILE=dev WHEELS="$(WHEELS_TESTED)/portable" KEEPWATCH_VISION=0
	scripts/fresh-venv "$(CARGO_TARGET_DIR)/venv-portable" "$(WHEELS_TESTED)"/portable/*manylinux*.whl
	cd "$(CARGO_TARGET_DIR)/venv-portable" && KEEPWATCH_PORTABLE=1 $(PYTEST)/test_portable.py
	KEEPWATCH_VISION=0 MATURIN_PEP517_ARGS="--profile dev" \
		scripts/fresh-venv "$(CARGO_TARGET_DIR)/venv-portable" "$(CURDIR)"
	cd "$(CARGO_TARGET_DIR)/venv-portable" && KEEPWATCH_PORTABLE=1 $(PYTEST)/test_portable.py

test-rebuild: setup ## Rebuilds a Debian in a directory by a script of `keepwatch inventory`, as root
	@scripts/test-rebuild "$(CARGO_TARGET_DIR)/debug/keepwatch"

check: test lint doc deny secrets ## What a change must pass

fmt: ## Formats the code
	cargo fmt --all

lint: ## Formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets --features keepwatch-core/postgres -- -D warnings
	cargo clippy $(CARGO_FLAGS) --package keepwatch-core --all-targets -- -D warnings
	cargo clippy $(CARGO_FLAGS) --package keepwatch-core --package keepwatch-mount --package keepwatch-ops --package keepwatch-recognition --package keepwatch-server --package keepwatch-vision --features keepwatch-core/fuzzing,keepwatch-core/postgres,keepwatch-mount/fuzzing,keepwatch-ops/fuzzing,keepwatch-recognition/fuzzing,keepwatch-server/fuzzing,keepwatch-vision/fuzzing -- -D warnings
	cargo clippy $(CARGO_FLAGS) --package keepwatch --no-default-features -- -D warnings
	cargo clippy $(CARGO_FLAGS) --package keepwatch-py --features vision -- -D warnings

doc: ## The API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --features keepwatch-core/postgres --no-deps

deny: ## Licences, bans and sources of dependencies
	@scripts/setup --check
	cargo deny --locked check --hide-inclusion-graph licenses bans sources

bench-python: build wheel ## Measures the Python package beside the command line, cryptography and OpenCV
	@scripts/bench-python $(BENCH_PYTHON)

secrets: ## Looks for secrets in the tree
	scripts/secrets

bench: build setup ## Measures the vault and its rivals on the same 3 GB (BENCH="--scale 0.05" for a small run), then cameras, faces and plates, and the server
	@scripts/bench $(BENCH)
	@scripts/bench-cameras $(BENCH_CAMERAS)
	@scripts/bench-recognition
	@scripts/bench-remote $(BENCH_REMOTE)
	@scripts/bench-server $(BENCH_SERVER)

bench-cameras: build ## Measures watching a camera, beside motion and ffmpeg (BENCH_CAMERAS="--seconds 5 --cameras 4" for a small run)
	@scripts/bench-cameras $(BENCH_CAMERAS)

bench-recognition: setup ## Measures faces and plates, beside onnxruntime from Python, OpenCV and Tesseract
	@scripts/bench-recognition

bench-mount: ## Measures reading through a mount, beside restic (BENCH_MOUNT="--megabytes 50 --runs 1" for a small run)
	@scripts/bench-mount $(BENCH_MOUNT)

bench-remote: build setup ## Measures first backups to S3 and SFTP beside restic and rustic, and dumps of MariaDB (BENCH_REMOTE="--scale 0.02 --runs 1" for a small run)
	@scripts/bench-remote $(BENCH_REMOTE)

bench-server: build ## Measures the server, beside SecureVision's API in FastAPI (BENCH_SERVER="--events 10000 --seconds 3" for a small run)
	@scripts/bench-server $(BENCH_SERVER)

fuzz-smoke: ## Runs each fuzz target for FUZZ_SECONDS
	@scripts/fuzz-smoke "$(FUZZ_SECONDS)"

clean: ## Removes what was built
	cargo clean
