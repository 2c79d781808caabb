# `make repro` runs the study, `make test` the tests; both set up what they need first.

PYTHON ?= python3
BIN := .venv/bin
# DVC runs each stage's `python`: the environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# DVC asks for both. A user of a container may have no name and no home.
HOME ?= /tmp
USER ?= nobody
export HOME USER
# Packages go into .venv, whatever the user's settings say.
export PIP_USER := 0
# A Git hook sets these to another repository.
unexport GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX
# Stages import from their own folder.
unexport PYTHONSAFEPATH

.PHONY: repro verify release test bench lint format lock environment clean help

repro: environment ## Run the study: what is out of date, stages side by side
	@python tools/repro.py

verify: environment ## Retrain what is committed and compare; STAGE=train_mlp for one stage
	@python tools/verify.py $(if $(STAGE),--stage $(STAGE)) $(if $(KEEP),--keep $(KEEP))

# Emptied first, so that it holds the results of one run only. Git ignores what others push there.
release: environment ## Put networks, sweep and page into remote/, for every clone to pull
	@dvc status --quiet || { echo "error: results are out of date: make repro" >&2; exit 1; }
	rm -rf remote/files
	dvc push --remote repository
	git add --all --force remote

test: environment ## Run the tests
	pytest --numprocesses logical --maxprocesses 4 --dist worksteal

bench: environment ## Measure how fast it trains
	@python tools/bench.py

lint: environment ## Check the form of the code
	ruff check .
	ruff format --check .

format: environment ## Correct the form of the code
	ruff check --fix .
	ruff format .

lock: ## Pin every dependency, with hashes, for all Python versions of pyproject.toml
	uv pip compile pyproject.toml --group dev --universal --fork-strategy fewest \
		--python-version 3.10 --generate-hashes --no-annotate --upgrade -o requirements.lock
	grep -oE '^(h5py|keras|numpy|pandas|tensorflow)==[^ ]+' requirements.lock > versions.txt

# DVC reads config.local from this folder whichever revision it works at; an address in .dvc/config
# would then mean a folder at the root of the disk.
# Made anew if it is another folder's, its Python is gone, or requirements.lock has changed.
environment: ## Install the packages of requirements.lock in .venv; make remote/ DVC's remote
	@{ { pwd -P; cat requirements.lock; } | cmp -s - .venv/installed.lock && \
		$(BIN)/python -c ''; } 2> /dev/null || { start=$$(date +%s) && \
		$(MAKE) --no-print-directory .venv && echo "Set up in $$(($$(date +%s) - start)) s."; }
	@grep -qs '"repository"' .dvc/config.local || \
		dvc remote add --quiet --local --default repository remote

.PHONY: .venv
.venv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
		{ echo "error: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv || \
		{ echo "error: $(PYTHON) cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing the packages of requirements.lock (2.7 GB): some minutes, fewer with uv."
	@if command -v uv; then uv pip install --python $(BIN)/python --require-hashes -r requirements.lock; \
	else $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock; fi
	@# What .dvc/plots.html draws with.
	@$(BIN)/python -c 'import vl_convert; print(vl_convert.javascript_bundle(vl_version="5.20"))' > .venv/vega.js
	@{ pwd -P; cat requirements.lock; } > .venv/installed.lock

clean: ## Remove what is made again without training; the environment and DVC's cache stay
	git clean -fdXq data models metrics plots
	rm -rf .pytest_cache .ruff_cache dvc_plots logs

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s%s\n", $$1, $$2}' Makefile
