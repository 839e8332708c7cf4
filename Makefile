# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
# Without bytecode each of the many processes would compile Minka, and each test process all tests, anew.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests of whole controllers mostly wait, so there are three workers a core; files that share servers stay together.
JOBS ?= $(shell echo $$(( $$(nproc) * 3 )))
# They begin in the order of tests/conftest.py: files with the most tests first would leave the longest tests for last.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-other-python check coverage bench soak clean lock programs

demo: $(READY)
	$(BIN)/python -m deploy.demo

test: $(READY) programs
	$(PYTEST) --cache-clear tests || $(BIN)/python -m tests.alone $$?

test-other-python: $(READY)
	sh tests/other-python.sh

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Branches that unit and conformance tests reach; whole controllers run in processes of their own, and are not counted.
coverage: $(READY)
	$(PYTEST) tests/unit tests/conformance tests/contract --cov=controller --cov=simulators --cov-branch --cov-report=term:skip-covered

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

soak: $(READY) programs
	MINKA_SOAK=1 $(BIN)/python -m pytest tests/chaos tests/unit/runs tests/unit/playbook tests/unit/simulators --timeout 3600
	MINKA_SOAK=1 $(BIN)/python -m pytest tests/integration/cloud tests/security/test_tenants.py --timeout 3600
	MINKA_SOAK=1 $(BIN)/python -m pytest tests/unit -m hypothesis --timeout 3600 \
	  --ignore tests/unit/runs --ignore tests/unit/playbook --ignore tests/unit/simulators
	MINKA_SOAK=1 $(BIN)/python -m pytest tests/integration/rehearsal/test_month.py -s
	MINKA_SOAK=1 $(BIN)/python -m pytest tests/unit/performance/test_audited_months.py --timeout 3600
	$(BIN)/python -m tests.benchmarks.bench_rehearsal --full
	$(BIN)/python -m tests.mutation
	$(MAKE) coverage

programs:
	sh tests/install-programs.sh

clean:
	rm -rf $(VENV) .minka .minka-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

lock: $(READY)
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --extra sim --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header -o requirements.lock

$(READY): requirements.lock pyproject.toml deploy/setup-venv.sh
	sh deploy/setup-venv.sh "$(PYTHON)" "$(VENV)"
	touch $@
