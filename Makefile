# `make repro` runs the study, `make test` the tests; both set up what they need first.

PYTHON ?= python3
BIN := .venv/bin
# DVC runs each stage's `python`: the environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test test-slow tuned verify bench scale lint format lock clean environment

repro: environment
	python tools/repro.py

test: environment
	pytest --numprocesses logical --maxprocesses 4 --dist worksteal

# What needs minutes: trained from nothing in every way, killed at twenty moments.
test-slow: environment
	pytest -m slow

# The recipe in recipes/tuned.yaml, as an experiment and a branch of that name, or of NAME;
# ONLY="SECTION …": not all of it; SET="SECTION.NAME=VALUE …": besides.
tuned: environment
	python tools/tuned.py $(if $(NAME),--name $(NAME)) $(if $(ONLY),--only $(ONLY)) \
		$(if $(SET),--set $(SET))

# STAGE=NAME: only that stage, after those that it depends on.
verify: environment
	python tools/verify.py $(if $(STAGE),--stage $(STAGE))

bench: environment
	@python tools/bench.py

# What a stage costs besides its work, as the sweep grows.
scale: environment
	@python tools/scale.py

lint: environment
	ruff check .
	ruff format --check .

format: environment
	ruff check --fix .
	ruff format .

# Pins every dependency, with hashes, for all the Python versions that pyproject.toml admits.
lock:
	uv pip compile pyproject.toml --group dev --universal --fork-strategy fewest \
		--python-version 3.10 --generate-hashes --no-annotate --upgrade -o requirements.lock
	grep -oE '^(h5py|keras|numpy|pandas|tensorflow)==[^ ]+' requirements.lock > versions.txt

# Rebuilt when the content of requirements.lock is not what was installed.
environment:
	@cmp -s requirements.lock .venv/installed.lock || $(MAKE) --no-print-directory .venv

.PHONY: .venv
.venv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
		{ echo "error: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv || \
		{ echo "error: $(PYTHON) cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	# What .dvc/plots.html draws with.
	$(BIN)/python -c 'import vl_convert; print(vl_convert.javascript_bundle())' > .venv/vega.js
	cp requirements.lock .venv/installed.lock

# What is made again without training: DVC's cache, and the metrics and plots in Git, stay.
clean:
	git clean -fdXq data models metrics plots
	rm -rf .venv .pytest_cache .ruff_cache dvc_plots
