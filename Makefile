PROFILE ?= default
RESULTS ?= results
PYTHON ?= python3
export PROFILE RESULTS

EXPERIMENTS := $(patsubst experiments/%.py,%,$(wildcard experiments/[a-z]*.py))

.DEFAULT_GOAL := help
.PHONY: help interpreters report reference test bench lint format lock clean distclean FORCE $(EXPERIMENTS)
.SILENT:
# Trials measure the machine they run on: two runs side by side would measure each other.
.NOTPARALLEL:

help: ## List what make can do here
	echo 'make TARGET [PROFILE=smoke|default|full] [RESULTS=folder] [PYTHON=interpreter for the set-up]'
	awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-28s %s\n", $$1, $$2}' Makefile
	echo 'One experiment, and the report made anew:'
	awk 'FNR == 1 {gsub(/^[^"]*"""|"""$$/, ""); split(FILENAME, part, /[\/.]/); printf "  %-28s %s\n", part[2], $$0}' \
	  $(EXPERIMENTS:%=experiments/%.py) </dev/null

# Those that experiments compare, made ready for trials.
interpreters: .venv/installed
	.venv/bin/python -m toolkit.interpreters requirements.lock

report: ## Run every experiment at PROFILE and make the report

# What failed belongs in the report too, so it is made before the failure is passed on.
report $(EXPERIMENTS): interpreters
	code=0; .venv/bin/toolkit run $(filter-out report,$@) --profile "$$PROFILE" --results "$$RESULTS" || code=$$?; \
	case $$code in 0|3) .venv/bin/toolkit report --results "$$RESULTS" || exit ;; esac; exit $$code

# For those who only read: neither the page nor PNG files, which hold all figures once more. What is finished in
# RESULTS is not repeated.
reference: interpreters ## Run every experiment in full, and keep its report in results/reference, to be committed
	.venv/bin/toolkit run --profile $(if $(filter command line,$(origin PROFILE)),"$$PROFILE",full) --results "$$RESULTS"
	.venv/bin/toolkit report --results "$$RESULTS"
	if grep -rqF -e "$(CURDIR)" -e "$$HOME/" "$$RESULTS/report/report.md" "$$RESULTS/report/tables"; then \
	  echo 'The report tells a path of this machine: it is not kept.' >&2; exit 1; fi
	rm -rf results/reference && mkdir -p results/reference/figures
	cp -R "$$RESULTS/report/report.md" "$$RESULTS/report/tables" results/reference
	cp "$$RESULTS/report/figures/"*.svg results/reference/figures

# An explanation looks through the whole heap: in a session of their own its tests find a small one.
test: .venv/installed-dev ## Run the tests (ARGS='-k chain', ARGS='-m slow': handed on to pytest)
	$(if $(ARGS),,.venv/bin/python -m pytest tests/retention)
	.venv/bin/python -m pytest $(or $(ARGS),--ignore=tests/retention)

bench: .venv/installed-dev ## Measure what the toolkit costs, some minutes (ARGS=store: that one alone)
	.venv/bin/python -m benchmarks $(ARGS)

lint: .venv/installed-dev ## Check style, format and types
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

format: .venv/installed-dev ## Sort imports and format every file
	.venv/bin/python -m ruff check --select I --fix .
	.venv/bin/python -m ruff format .

# One numpy for every interpreter: releases alike are what makes interpreters comparable.
# No header and no index: a lock must not tell from where its maker installs.
LOCK = .venv/bin/python -m uv pip compile --quiet pyproject.toml --universal --fork-strategy fewest --python-version 3.11 \
  --generate-hashes --no-build --no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

lock: .venv/installed-dev ## Write both lock files from pyproject.toml (UPGRADE=1: with the newest releases)
	$(LOCK) --extra build --extra data --output-file requirements.lock
	$(LOCK) --extra dev --constraints requirements.lock --output-file requirements-dev.lock

# Always the folder results: RESULTS may name one that holds other things as well.
clean: ## Remove results and caches; the reference report stays
	if [ -d results ]; then find results -mindepth 1 -maxdepth 1 ! -name reference -exec rm -rf {} +; fi
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find toolkit experiments tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove .venv as well
	rm -rf .venv

# The set-up is sound if the last one ended, if its interpreter still finds its packages, and if it was made for this
# very folder: the scripts in a moved or copied one would run the code of the old place.
ifeq ($(shell [ ! -e .venv/unfinished ] && .venv/bin/python -c 'import pip' 2>/dev/null && cat .venv/installed 2>/dev/null),$(CURDIR))
SOUND := yes
endif

CANDIDATES = "$(PYTHON)" $(if $(filter file,$(origin PYTHON)),python3.13 python3.12 python3.11)
BASE_PYTHON = $(shell for python in $(CANDIDATES); do \
  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$python"; break; fi; done)
FOUND = $(shell "$(PYTHON)" -c 'import sys; sys.stdout.write("Python " + sys.version.split()[0])' 2>/dev/null)

define NEW_VENV
$(if $(BASE_PYTHON),,$(error Python 3.11 or newer is needed, but $(PYTHON) is $(or $(FOUND),not there): \
  name another with PYTHON=/path/to/python3))
$(if $(shell "$(BASE_PYTHON)" -c 'import ensurepip, venv' 2>/dev/null && echo yes),,$(error $(BASE_PYTHON) cannot make \
  virtual environments: install the package that brings them, on Debian python3-venv))
echo 'Setting up .venv with $(BASE_PYTHON) (once, about a minute) ...'
"$(BASE_PYTHON)" -m venv --clear .venv
endef

PIP = .venv/bin/python -m pip --disable-pip-version-check install -qq
# The mark goes only when pip has ended well: pip takes a package copied halfway for a whole one.
LOCKED = touch .venv/unfinished && $(PIP) --require-hashes --only-binary :all: -r $(1) && rm .venv/unfinished

.venv/installed: pyproject.toml requirements.lock $(if $(SOUND),,FORCE)
	$(if $(SOUND),echo 'Bringing .venv up to date ...',$(NEW_VENV))
	$(call LOCKED,requirements.lock)
	$(PIP) --no-build-isolation --no-deps -e . && pwd -P >$@

.venv/installed-dev: requirements-dev.lock .venv/installed
	echo 'Adding the tools for tests and checks to .venv (at first about half a minute) ...'
	$(call LOCKED,requirements-dev.lock) && touch $@
