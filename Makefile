# Everything happens in .venv; nothing outside the checkout is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test check fix clean

demo: $(STAMP)  ## train, export, show, serve, ask, stop
	$(BIN)/python examples/digits/run.py

test: $(STAMP)  ## the whole suite
	$(BIN)/python -m pytest

check: $(STAMP)  ## lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml $(shell find protos -name '*.proto')
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist
