# Everything happens in .venv; nothing outside the checkout is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# What the server is compared with lives in an environment of its own.
PEERS := .venv-peers

.PHONY: demo test check docs bench fix clean

demo: $(STAMP)  ## train, export, show, serve, ask, stop
	$(BIN)/python examples/digits/run.py

# Real servers under deadlines on a machine that others use: a failure is looked at twice, and the report tells of both.
test: $(STAMP)  ## the whole suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --reruns 1 --rerun-show-tracebacks

check: $(STAMP)  ## lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## the site of the documentation, into build/docs; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet -f docs/site/mkdocs.yml

bench: $(STAMP) $(PEERS)/installed  ## what is promised about speed, beside the peers: a table, and build/bench.json
	$(BIN)/python -m tfx_export.bench $(BENCH)

fix: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml $(shell find protos -name '*.proto')
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	touch $(STAMP)

$(PEERS)/installed:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check bentoml 'ray[serve]' 'tensorflow>=2.20,<3'
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) build dist
