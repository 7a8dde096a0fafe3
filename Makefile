# `make app` and `make test` need nothing but Python >= 3.11: each makes .venv and installs what it lacks.
# WORKBENCH_PYTHON=python3.12 make app    chooses the interpreter for a new environment.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help app test test-full coverage lint bench lock wheels docs

PY := .venv/bin/python
PIP = $(PY) -m pip install --quiet --disable-pip-version-check --no-input
# $(call install,EXTRAS,PARTS): the files whose hashes are in requirements/PART.lock, then the project itself. A build of
# torch with a mark such as +cpu needs no CUDA. Where a file has no hash the pinned versions are installed without.
define install
	@$(own-torch); \
	$(PIP) --no-deps --require-hashes $(patsubst %,-r requirements/%.lock,$(2)) && \
	{ $(PY) -c 'import sys; from importlib.metadata import version; sys.exit("+" not in version("torch"))' || \
	$(PIP) --no-deps --require-hashes -r requirements/cuda.lock; } && \
	$(PIP) --no-deps --no-build-isolation -e . || { \
	echo "Not every file for this machine is in requirements/*.lock: installing the pinned versions without hashes." >&2; \
	$(PIP) -c constraints.txt -e '.$(1)'; }
endef
# Of equal versions pip takes one whose hash its index tells, so a build of torch that the user chose comes first: from a
# folder by its hash, from another index by its version alone.
define own-torch
if [ -n "$${PIP_FIND_LINKS:-}" ]; then \
	$(PIP) --no-deps --no-index --require-hashes -r <(sed -n '/^torch==/,/[^\\]$$/p' requirements/app.lock) 2>/dev/null || true; \
elif [ -n "$${PIP_INDEX_URL:-}$${PIP_EXTRA_INDEX_URL:-}" ]; then \
	$(PIP) --no-deps -c constraints.txt torch || true; \
fi
endef

# Two workers; the tests of one worker's queue go to the other when that is done first.
PYTEST = $(PY) -m pytest -q -n 2 --dist worksteal
# Where tests are marked `shapes`: importing less with checks of every annotation saves a minute.
SHAPED = tests/test_registries.py tests/test_shapes.py tests/zoo tests/training
# Commands that tests start read the compiled library instead of compiling it each time.
unexport PYTHONDONTWRITEBYTECODE

help: ## show this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1  /' | awk '{printf "%s %-9s", $$1, $$2; $$1 = $$2 = ""; print}'

app: .venv/installed-app ## open the dashboard
	@.venv/bin/workbench app

test: .venv/installed-test ## ruff, pyrefly, import-linter and every test
	@$(PY) -m tests.browser
	@status=0; $(MAKE) --no-print-directory lint || status=1; \
	$(PYTEST) --shapes -m shapes $(SHAPED) || status=1; \
	$(PYTEST) || status=1; \
	exit $$status

test-full: .venv/installed-test ## the same with every pair of technique, page and model, all shapes checked
	@$(PY) -m tests.browser
	@status=0; $(MAKE) --no-print-directory lint || status=1; $(PYTEST) --full --shapes --timeout 900 || status=1; exit $$status

coverage: .venv/installed-test ## lines and branches that the tests run
	@COVERAGE_FILE=.venv/coverage $(PYTEST) --cov=workbench --cov=app --cov-branch --cov-report=json:.venv/coverage.json --cov-report=term:skip-covered
	@$(PY) -c 'import json; t = json.load(open(".venv/coverage.json"))["totals"]; \
	print(f"{t[\"percent_statements_covered\"]:.2f} % of lines, {t[\"percent_branches_covered\"]:.2f} % of branches")'

lint: .venv/installed-test ## ruff, pyrefly and import-linter alone
	@status=0; \
	$(PY) -m ruff check . || status=1; \
	$(PY) -m ruff format --check . || status=1; \
	$(PY) -m pyrefly check --output-format min-text || status=1; \
	.venv/bin/lint-imports --no-logo || status=1; \
	exit $$status

bench: .venv/installed-bench ## every benchmark, one JSON line per figure
	@$(PY) -m tests.bench

$(PY):
	@python="$${WORKBENCH_PYTHON:-}"; \
	able='import sys, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	for candidate in $${python:-python3 python3.13 python3.12 python3.11}; do \
		if "$$candidate" -c "$$able" 2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
		echo "No Python >= 3.11 with venv found$${python:+ at $$python}." \
			"Install one (Debian: apt install python3 python3-venv) or set WORKBENCH_PYTHON to its path." >&2; \
		exit 1; \
	fi; \
	echo "Creating .venv with $$found"; \
	"$$found" -m venv .venv

.venv/installed-app: pyproject.toml constraints.txt requirements/app.lock | $(PY)
	@echo "Installing the workbench into .venv (a few minutes the first time)"
	$(call install,,app)
	@touch $@

.venv/installed-%: pyproject.toml constraints.txt requirements/test.lock | $(PY)
	@echo "Installing the workbench and what '$*' needs into .venv (a few minutes the first time)"
	$(call install,[test$(comma)bench$(comma)docs],app test)
	@touch $@ .venv/installed-app

docs: .venv/installed-test ## build the documentation into build/site
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "The documentation: build/site/index.html"

wheels: .venv/installed-test ## build dist/*.whl: the workbench, and the weights of its models as a package of their own
	@for project in . packaging/models; do $(PY) -m build --wheel --no-isolation --outdir dist $$project | tail -1; done

lock: ## write requirements/*.lock anew, after a change of constraints.txt (needs uv)
	@$(PY) requirements/lock.py

comma := ,
