# Everything a developer or CI runs. `make` alone lists the targets.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
LXMF := .venv-lxmf

.DEFAULT_GOAL := help
.PHONY: help setup test coverage fuzz abuse demo chaos bench bench-peers bench-growth bench-backlog bench-flood bench-fleet check format lock lock-peers clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make the virtual environment from the lock file; later runs need no network

test: setup ## run the whole suite (ARGS="-k name" for a part)
	@$(BIN)/python -m pytest $(ARGS)

coverage: setup ## run the suite and show what it does not reach
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

fuzz: setup ## try every reader of bytes for SECONDS each (60), or INPUTS each; what is found becomes a test
	@$(BIN)/python -m tests.fuzz.run --seconds $(or $(SECONDS),60) --inputs $(or $(INPUTS),0) $(ARGS)

abuse: setup ## attack a hub on loopback in every way, and print what it costs its members
	@$(BIN)/python -m tests.abuse.run $(ARGS)

demo: setup ## run the demonstration (KEEP=1 leaves its network in place)
	@$(BIN)/python demo/demo.py $(if $(KEEP),--keep)

bench: setup ## run the benchmarks
	@$(BIN)/python benchmarks/run.py $(ARGS)

bench-peers: setup $(PEERS)/.installed $(LXMF)/.installed ## measure beside NATS, RabbitMQ, Mosquitto and LXMF (ARGS=--quick)
	@PYTHONPATH=benchmarks $(BIN)/python -m peers.bench --clients $(PEERS) --lxmf $(LXMF) $(ARGS)

bench-growth: setup $(PEERS)/.installed ## measure what grows with members, hubs and sizes, and draw it (OUT=folder)
	@mkdir -p $(or $(OUT),build)
	@$(BIN)/python benchmarks/growth.py --json $(or $(OUT),build)/growth.json $(ARGS)
	@$(PEERS)/bin/python benchmarks/growth_plot.py $(or $(OUT),build)/growth.json $(or $(OUT),build)/growth.svg

bench-backlog: setup ## measure a hub that holds much for a member that is away (ARGS="--messages 1000000")
	@$(BIN)/python benchmarks/backlog.py $(ARGS)

bench-fleet: setup ## run 197 nodes and 8 hubs on this machine at the real network's rate (ARGS="--seconds 60")
	@$(BIN)/python benchmarks/fleet.py $(ARGS)

bench-flood: setup ## measure what others notice of a flood, and of three times what a hub carries
	@$(BIN)/python benchmarks/flood.py $(ARGS)

chaos: setup ## kill, starve and cut real processes, then see that nothing was lost (SECONDS=600 SEED=7)
	@$(BIN)/python -m tests.chaos.main --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

check: setup ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.dependencies ## write requirements.lock anew from pyproject.toml (UPGRADE=1 takes newer versions)
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --no-build-isolation \
	  --extra dev --extra sim --extra cluster $(if $(UPGRADE),--upgrade) --output-file requirements.lock pyproject.toml

lock-peers: $(VENV)/.dependencies ## write the lock files of what only bench-peers needs (UPGRADE=1 as above)
	@for name in requirements requirements-lxmf; do \
	  CUSTOM_COMPILE_COMMAND="make lock-peers" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
	    --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	    --no-build-isolation $(if $(UPGRADE),--upgrade) \
	    --output-file benchmarks/peers/$$name.lock benchmarks/peers/$$name.in || exit 1; \
	done

clean: ## remove the virtual environment and everything made by tools
	rm -rf $(VENV) $(PEERS) $(LXMF) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
	find . -name .git -prune -o -name __pycache__ -type d -exec rm -rf {} +

# Two stamps: a change of pyproject.toml alone costs only the editable install, which needs no network.

$(VENV)/.dependencies: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than Python 3.11"; echo "hint: make setup PYTHON=python3.12"; exit 1; } >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.dependencies pyproject.toml
	$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# What only bench-peers needs. LXMF has an environment of its own, for the sake of its licence.

$(PEERS)/.installed: benchmarks/peers/requirements.lock
$(LXMF)/.installed: benchmarks/peers/requirements-lxmf.lock
$(PEERS)/.installed $(LXMF)/.installed:
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes --requirement $<
	@touch $@
