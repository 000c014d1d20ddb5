# Two commands matter: `make run` shows a living demo county, `make test` proves the product.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8350
DATA ?= demo-data
TEST_PACKAGES := mosquitto chromium poppler-utils fonts-noto-cjk hledger victoria-metrics mbpoll socat libreoffice-calc

.DEFAULT_GOAL := help
.PHONY: help setup run test influxd test-influx check bench soak clean lock assets test-tools screenshot guide-pictures

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@sh deploy/setup/venv.sh "$(PYTHON)" "$(VENV)"

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "正在安装运行所需的 Python 包 ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "正在安装测试所需的 Python 包 ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

assets: $(VENV)/.runtime
	@$(BIN)/python -m dashboards.assets.build

setup: $(VENV)/.runtime assets ## prepare everything without starting it

run: setup ## start the product with a filled demo county (PORT=8350 DATA=demo-data)
	@$(BIN)/sunledger demo --data "$(DATA)" --port $(PORT)

test-tools: $(VENV)/.dev assets
	@sh deploy/setup/packages.sh $(TEST_PACKAGES)

test: test-tools ## set up what the tests need and run the whole suite
	@$(BIN)/pytest -n 2 --dist worksteal -q

influxd: ## build InfluxDB 2 outside the tree, for test-influx (needs Go, Rust and gcc)
	@sh deploy/setup/influxd.sh

test-influx: test-tools ## run the store's contract on a real InfluxDB 2 (make influxd, or SUNLEDGER_TEST_INFLUXDB_URL)
	@$(BIN)/pytest -q -m influx tests/store

check: $(VENV)/.dev ## lint, format, types, import contracts, tidiness
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/test_tidy.py

bench: test-tools ## print speed and memory, each beside a named baseline
	@$(BIN)/python -m tests.bench

bench-%: test-tools
	@$(BIN)/python -m tests.bench $*

soak: test-tools ## the long proofs, in full
	@SUNLEDGER_SOAK=1 $(BIN)/pytest -n 2 --dist worksteal -q -m soak --timeout 0

guide-pictures: test-tools ## make the pictures of the guides 接入一个电站 and 运维工单 anew
	@$(BIN)/python -m tests.guide_pictures

screenshot: test-tools ## make the picture of the README anew
	@$(BIN)/python -m tests.screenshot

lock: | $(BIN)/python ## renew the lock files (needs uv)
	@uv pip compile -q --python-version 3.11 --generate-hashes --no-header --group build pyproject.toml -o requirements.lock
	@uv pip compile -q --python-version 3.11 --generate-hashes --no-header --group build --extra dev pyproject.toml -o requirements-dev.lock

clean: ## remove what was made here, but no data
	@rm -rf $(VENV) node_modules dashboards/assets/built build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
