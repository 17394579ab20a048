# `make search` runs the main job on the embedded data; `make test` is what CI runs.
# TORCH_INDEX chooses where torch comes from, e.g. PyTorch's index of CPU or of CUDA builds; empty
# means pip's own default. ARGS are handed to `gtn-nas search`, e.g. ARGS="--candidates 50".
PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: search test test-all lint types imports format clean
.DEFAULT_GOAL := search

search: $(INSTALLED)
	$(BIN)/gtn-nas search $(ARGS)

# Two processes share the test files; what is slow runs alone.
test: lint types imports
	$(BIN)/pytest -n 2 --dist loadfile --max-worker-restart 0 -m "not slow"

test-all: test
	$(BIN)/pytest -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamp is written last, so that an interrupted installation is taken up again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gtn-nas needs Python 3.11 or newer; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch torchvision
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
