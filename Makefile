# Every target sets up what it needs: `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo examples test fuzz test-oldest lint format docs logs clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[tensorflow,plot]" --group test --group lint
	touch $@

demo: $(STAMP)  ## train the three autoencoders, record them, compare and diagnose them
	$(BIN)/python examples/autoencoder.py

examples: $(STAMP)  ## the documents' experiments in their small forms
	$(BIN)/python examples/glorot2010.py --small --log-dir logs/glorot2010_small
	$(BIN)/python examples/init_sweep.py --small
	$(BIN)/python examples/remedies.py --small

test: $(STAMP)  ## run the tests
	$(BIN)/python -m pytest -m "not slow" -n 2

fuzz: $(STAMP)  ## look for a minute for bytes that reading cannot cope with
	$(BIN)/python -m pip install --quiet atheris
	$(BIN)/python tests/fuzz/fuzz_reading.py "$$(mktemp -d)" tests/fuzz/corpus -max_total_time=60 -verbosity=0

test-oldest:  ## run the recorder's tests on the oldest supported TensorFlow and Keras
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-oldest/bin/python -m pip install --quiet --editable . --group test \
		"tensorflow==2.16.*" "keras==3.3.*" "tensorboard==2.16.*" "numpy<2"
	.venv-oldest/bin/python -m pytest tests/recording

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## write the pages of the rules anew from the rules themselves
	rm -f docs/rules/*.md
	$(BIN)/python -m gradscope.cli rules --docs docs/rules

logs: $(STAMP)  ## record the small runs in logs/autoencoder anew
	$(BIN)/python examples/autoencoder.py --log-dir logs/autoencoder --every 500 --no-picture

clean:  ## remove the virtual environment and what the demo recorded
	rm -rf $(VENV) .venv-oldest logs/demo
