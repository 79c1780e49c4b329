# Every target works from a bare clone with Python 3.11, g++ and make: it makes .venv and installs what it needs,
# again only when what is installed or compiled has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NATIVE := pyproject.toml CMakeLists.txt $(shell find custom_ops -type f 2>/dev/null)
CPP := $(shell find custom_ops hls_backend -type f \( -name '*.h' -o -name '*.cc' -o -name '*.cpp' \) 2>/dev/null)
JOBS ?= 2
PYTEST_FLAGS ?=
N ?= 1000
SEED ?= 0
CASES ?= 20000

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help install demo test hls4ml-test lint format fuzz fuzz-files fuzz-inputs fuzz-kernels fuzz-sanitized variants rtl averages properties kill bench bench-scaling census sanitize wheel supported tools docs sanitize-threads soak mutation coverage clean

help:
	@echo "make demo    train a small model, export it, run it everywhere, compare (examples/digits)"
	@echo "make test    all tests              make lint    style and types     make format  apply the style"
	@echo "make fuzz    random networks        make bench   measurements        make clean   remove what was built"
	@echo "make fuzz-files  hostile model files    make fuzz-kernels  native kernels, hostile arguments, sanitizers"
	@echo "make fuzz-inputs  hostile events, configurations, states, reports, Keras files; folders around outputs"
	@echo "make fuzz-sanitized  hostile model files, native kernels and firmware under sanitizers"
	@echo "make sanitize  tests of the native kernels under ASan and UBSan    make kill  interrupted commands, full disks"
	@echo "make variants  every kernel variant and parallel factor of published and random networks, C-simulated"
	@echo "make docs    the documentation site: build/docs/index.html"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "sparse-qonnx needs Python 3.11 or later: make PYTHON=python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "$(PYTHON) -m venv failed: on Debian, install python3-venv" >&2; exit 2; }

$(STAMP): $(BIN)/python $(NATIVE)
	@echo "Installing sparse-qonnx and what it needs into $(VENV): a minute or two, once"
	@$(BIN)/pip install --quiet --editable '.[keras,csim,demo,report,cluster,dev,docs]'
	@touch $@

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/python examples/digits/demo.py

test: $(STAMP)
	$(BIN)/pytest -n $(JOBS) --dist loadgroup $(PYTEST_FLAGS)

# The bridge into hls4ml projects; hls4ml brings two small packages.
hls4ml-test: $(STAMP)
	$(BIN)/pip install --quiet 'hls4ml>=1.3'
	$(BIN)/pytest tests/test_hls4ml_bridge.py $(PYTEST_FLAGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict sparse_qonnx
	@if [ -n "$(CPP)" ]; then echo "clang-format --dry-run -Werror"; $(BIN)/clang-format --dry-run -Werror $(CPP); fi

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@if [ -n "$(CPP)" ]; then $(BIN)/clang-format -i $(CPP); fi

# N random networks through every implementation, reproducible by SEED; failures become scripts in build/fuzz.
fuzz: $(STAMP)
	$(BIN)/python tests/fuzz/run.py --cases $(N) --seed $(SEED) --jobs $(JOBS) $(FUZZ_FLAGS)

# Published models and N random networks through every kernel variant and parallel factor, C-simulated.
variants: $(STAMP)
	$(BIN)/python tests/run_variants.py --networks $(if $(filter 1000,$(N)),20,$(N)) --seed $(SEED) $(VARIANTS_FLAGS)

# The same designs as hardware: Verilog, simulated with pauses and resets, 100 events of each published model.
rtl: $(STAMP)
	$(BIN)/python tests/run_variants.py --rtl --events 100 --networks $(if $(filter 1000,$(N)),20,$(N)) --seed $(SEED) \
	    --record build/rtl.json $(VARIANTS_FLAGS)

# Networks of the paper's shapes with windows of 3, 5, 6 and 7, value for value in every implementation; needs ../shared.
averages: $(STAMP)
	SPARSE_QONNX_AVERAGES=1 $(BIN)/pytest -s tests/test_averages_paper.py $(PYTEST_FLAGS)

# Hostile model files through every command, see docs/security.md.
fuzz-files: $(STAMP)
	$(BIN)/python tests/fuzz_files/run.py --cases $(CASES) --seed $(SEED) $(FUZZ_FLAGS)

# Every other input, hostile, through every command that reads it; and folders full of surprises around the outputs.
fuzz-inputs: $(STAMP)
	$(BIN)/python tests/fuzz_files/run.py --inputs --cases $(CASES) --seed $(SEED) --folder build/fuzz-inputs $(FUZZ_FLAGS)

# The native kernels under sanitizers, with arguments that no checked file has.
fuzz-kernels: build/sanitize/libsparse_qonnx_ops.so
	$(SANITIZED) $(BIN)/python tests/fuzz_files/run.py --kernels --cases $(CASES) --seed $(SEED) $(FUZZ_FLAGS)

# Hostile model files again, native kernels and C-simulated firmware under sanitizers. Xilinx's headers shift signed
# integers into their sign.
fuzz-sanitized: build/sanitize/libsparse_qonnx_ops.so
	CXXFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize=shift -fno-sanitize-recover=undefined" \
	    $(SANITIZED) $(BIN)/python tests/fuzz_files/run.py --cases $(CASES) --seed $(SEED) $(FUZZ_FLAGS)

build/sanitize/libsparse_qonnx_ops.so: $(STAMP)
	cmake -S custom_ops -B build/sanitize -DSPARSE_QONNX_SANITIZE=ON
	cmake --build build/sanitize -j$(JOBS)
	@touch $@

SANITIZED = LD_PRELOAD="$$($${CXX:-g++} -print-file-name=libasan.so) $$($${CXX:-g++} -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 SPARSE_QONNX_LIBRARY="$(CURDIR)/build/sanitize/libsparse_qonnx_ops.so"

# The property tests of `make test`, with many more examples each.
properties: $(STAMP)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -n $(JOBS) --dist loadgroup -m hypothesis $(PYTEST_FLAGS)

bench: $(STAMP)
	$(BIN)/python bench/run.py $(BENCH_FLAGS)

# Time and memory of every step against weights, size, N, channels and depth.
bench-scaling: $(STAMP)
	$(BIN)/python bench/scaling.py $(SCALING_FLAGS)

census: $(STAMP)
	$(BIN)/python bench/census.py $(CENSUS_FLAGS)

# Commands killed at every change of a file and at random times, and on full disks: what is there is old or new.
kill: $(STAMP)
	$(BIN)/python tests/kill/run.py --keras --seed $(SEED) --output build/kill.json $(KILL_FLAGS)

# The tests of the native kernels under AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: $(STAMP)
	PYTHON=$(BIN)/python custom_ops/sanitize.sh build/sanitize -n $(JOBS) --dist loadgroup $(PYTEST_FLAGS)

# Mistakes made on purpose in references, interval inference and quantizers: which does no test notice?
mutation: $(STAMP)
	$(BIN)/pip install --quiet 'cosmic-ray>=8.7'
	$(BIN)/python tests/mutation/run.py --output build/mutation.json $(MUTATION_FLAGS)

# Which lines of the package no test reaches; the kernels in C++ have the sanitizers and the fuzzers.
coverage: $(STAMP)
	$(BIN)/pip install --quiet 'pytest-cov>=6'
	$(BIN)/pytest -n $(JOBS) --dist loadgroup --cov=sparse_qonnx --cov-branch --cov-report=html:build/coverage \
	    --cov-report=json:build/coverage.json --cov-report=term:skip-covered $(PYTEST_FLAGS)

# A million calls of one session, and the memory of the process on the way.
soak: $(STAMP)
	$(BIN)/python tests/soak.py

# Every native kernel from eight threads at once, under ThreadSanitizer.
sanitize-threads: $(STAMP)
	custom_ops/sanitize.sh threads build/threads

# The tables of what is supported: README.md from the registries, docs/layers.md from one model a row.
supported: $(STAMP)
	$(BIN)/python docs/supported.py
	$(BIN)/python docs/layer_support.py

# docs/tools.md: our files after other people's tools, each of them run.
tools: $(STAMP)
	$(BIN)/python docs/tools_support.py

# The documentation site: the notebooks run, every warning is an error, every local link is followed.
docs: $(STAMP)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -d build/doctrees docs build/docs
	$(BIN)/python docs/check_site.py build/docs
	@echo "build/docs/index.html"

wheel: $(STAMP)
	$(BIN)/pip wheel --no-deps --wheel-dir dist .

clean:
	rm -rf build dist docs/_generated $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
