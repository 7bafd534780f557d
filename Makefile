.PHONY: setup run test slow check bench lock

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
GATEWAY := tests/gateway/node_modules/.package-lock.json
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

setup: $(READY)

# What builds the package itself is in requirements.txt too, so that the second step needs no network.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "需要 Python 3.11 或更新版本（可以用 make PYTHON=python3.12 指定）"; exit 1; }
	@echo "准备环境，第一次要一两分钟……"
	$(PYTHON) -m venv .venv
	$(INSTALL) -r requirements.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# A real Wechaty gateway with a mock WeChat behind it. Where it cannot be had its tests are skipped.
$(GATEWAY): tests/gateway/package-lock.json
	@if ! command -v npm >/dev/null; then echo "没有 npm：需要真实网关的测试会跳过"; \
	elif ! npm ci --prefix tests/gateway --ignore-scripts --no-audit --no-fund --loglevel=error; then \
	rm -rf tests/gateway/node_modules; echo "网关装不上：需要真实网关的测试会跳过"; fi

run: setup
	@$(BIN)/siyu demo

test: setup $(GATEWAY)
	@[ -n "$$SIYU_TEST_POSTGRES" ] || echo "没有设 SIYU_TEST_POSTGRES：PostgreSQL 的测试会跳过"
	$(BIN)/python -m pytest -n 2 -m "not slow" $(PYTEST)

# What takes seconds each: the installed program as a process, floods, thousands under way. CI runs it too.
slow: setup $(GATEWAY)
	$(BIN)/python -m pytest -n 2 -m slow $(PYTEST)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup $(GATEWAY)
	$(BIN)/python -m bench

# Everything at its newest, as pyproject.toml allows, in an environment of its own.
lock:
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade pip
	.venv-lock/bin/python -m pip install --quiet . --group dev
	.venv-lock/bin/python -m pip uninstall --quiet --yes siyu
	.venv-lock/bin/python -m pip freeze --all --exclude pip > requirements.txt
	rm -rf .venv-lock
