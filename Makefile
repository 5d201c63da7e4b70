# Everything a new user or CI runs. Needs python3 (>= 3.11) alone; uses uv where it is installed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# tests elsewhere that have a long form
COUNTED = $(shell grep -lE "^(import faults|from faults import|from killing import)" -r tests/[a-eg-z]* --include="test_*.py")

.PHONY: help install demo test check slow faults format lock clean

help:
	@echo "make demo    install, then tune a population on the CartPole swing-up and compare (4 to 5 minutes)"
	@echo "make test    the fast tests          make slow    learning gates (tens of minutes)"
	@echo "make check   lint, types, import contracts, lock file"
	@echo "make faults  kills, disk errors, signals, damage, killed workers: the long forms of their tests"
	@echo "make format  format the code         make lock    resolve requirements.lock anew (needs uv)"

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .; \
	fi
	@touch $@

demo: install
	$(BIN)/cartwheel demo studies/demo.toml --run-dir runs/demo

test: install
	$(BIN)/python -m pytest -n auto

slow: install
	$(BIN)/python -m pytest -m slow --timeout 3600 -s

faults: install
	CARTWHEEL_FAULTS=long $(BIN)/python -m pytest tests/faults $(COUNTED) -m "slow or not slow" --timeout 3600 -v

check: install
	$(BIN)/ruff check src tests tools benchmarks
	$(BIN)/ruff format --check --quiet src tests tools benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/check_lock.py

format: install
	$(BIN)/ruff check --fix src tests tools benchmarks
	$(BIN)/ruff format src tests tools benchmarks

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
