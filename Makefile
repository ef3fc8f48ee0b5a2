# Each target sets up what it needs by itself (.venv, system packages), then runs; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# llvmpipe through EGL draws training scenes; only tests of the renderer and `prehend-train` need it
SYSTEM_PACKAGES := libegl1 libegl-mesa0 libgl1-mesa-dri
export FASTDDS_BUILTIN_TRANSPORTS ?= LARGE_DATA

.PHONY: help demo test quick format check coverage docs durations pythons bench soak fuzz clean
LANE := not slow and not unmeasured and not ros and not render
help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "prehend needs Python 3.10 to 3.12, $(PYTHON) is $$($(PYTHON) --version): make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || sh tools/system_packages.sh python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml setup.py constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ros]'
	@touch $@

$(VENV)/.dev: pyproject.toml setup.py training/pyproject.toml constraints.txt | $(BIN)/python
	@sh tools/system_packages.sh $(SYSTEM_PACKAGES)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ros,torch,train,dev]' -e ./training
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## play a video into the node over real DDS, print the hands it publishes, draw them into out/demo
	$(BIN)/python examples/demo.py $(DEMO_ARGS)

test: $(VENV)/.dev  ## every test
	$(BIN)/python -m pytest $(TEST_ARGS)

quick: $(VENV)/.dev  ## the tests that are quick, on all cores: within a minute on two
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m '$(LANE)' -n auto --dist loadfile $(TEST_ARGS)

format: $(VENV)/.dev  ## format, and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(VENV)/.dev  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

coverage: $(VENV)/.dev  ## every test, and which lines and branches none of them reached: out/coverage/index.html
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-report=html:out/coverage $(TEST_ARGS)

docs: $(VENV)/.dev  ## pages of docs/ and of every module of both packages in out/docs; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html -c docs . out/docs

durations: $(VENV)/.dev  ## measure tests, new ones with TEST_ARGS='-m unmeasured': the shortest are quick
	$(BIN)/python -m pytest --junitxml=out/tests.xml $(TEST_ARGS)
	$(BIN)/python tools/durations.py out/tests.xml test/durations.json

pythons:  ## every test with each Python that is supported and here
	@ran=""; \
	for version in 3.10 3.11 3.12; do \
	  if python$$version -c '' 2>/dev/null; then \
	    $(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit 1; ran="$$ran $$version"; \
	  else echo "python$$version is not here: left out"; fi; \
	done; \
	test -n "$$ran" || { echo "no Python 3.10 to 3.12 is on the path: nothing was tested" >&2; exit 1; }; \
	echo "tested with Python$$ran"

bench: $(VENV)/.dev  ## the figures of the README, as ratios on this machine
	$(BIN)/python tools/bench.py $(BENCH_ARGS)

soak: $(VENV)/.demo  ## 100,000 images through the node: nothing lost, nothing grows (hours; SOAK_ARGS="--frames 5000")
	$(BIN)/python tools/soak.py $(SOAK_ARGS)

fuzz: $(VENV)/.dev  ## damaged and invented input at every border; FUZZ_ARGS="--minutes 60"; goes on where it was
	$(BIN)/python tools/fuzz.py $(FUZZ_ARGS)

clean:  ## remove the environment and what was generated
	rm -rf .venv .venv-3.* out build dist src/*.egg-info training/*.egg-info
