# Everything happens in .venv and build; nothing outside the checkout is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# The servers that `bench` compares with have an environment of their own.
PEERS := .venv-peers
# They are installed unless BENCH chooses only parts that do not need them.
NEEDS_PEERS := $(if $(findstring --only,$(BENCH)),$(filter %rest_rate %peer_memory,$(BENCH)),yes)

# For `make fuzz`.
MUTANTS ?= 400
SEED ?= 15

.PHONY: demo test test-fast fuzz check docs bench fix clean

demo: $(STAMP)  ## train, export, show, serve, send requests, stop
	$(BIN)/python examples/digits/run.py

# The tests have deadlines and the machine may be busy: a failed test runs once more, and the report shows both runs.
test: $(STAMP)  ## the whole suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --reruns 1 --rerun-show-tracebacks

test-fast: $(STAMP)  ## the tests that start no process and export no model: under a minute
	$(BIN)/python -m pytest -q -m fast

fuzz: $(STAMP)  ## SavedModels changed at random, on both fronts: make fuzz MUTANTS=2000 SEED=7
	TFX_EXPORT_MUTANTS=$(MUTANTS) TFX_EXPORT_SEED=$(SEED) $(BIN)/python -m pytest -n 2 --dist loadgroup \
		tests/serve/test_mutated_models.py

check: $(STAMP)  ## lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## the documentation's site, into build/docs; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet -f docs/site/mkdocs.yml

bench: $(STAMP) $(if $(NEEDS_PEERS),$(PEERS)/installed)  ## the performance targets, and other servers for comparison: a table, and build/bench.json
	$(BIN)/python -m tests.benchmark $(BENCH)

fix: $(STAMP)  ## format, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml $(shell find protos -name '*.proto' -o -name '*.py')
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	touch $(STAMP)

$(PEERS)/installed:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check bentoml 'ray[serve]' 'tensorflow>=2.20,<3'
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) build dist
