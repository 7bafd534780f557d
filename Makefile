.PHONY: setup run test check bench lock

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
GATEWAY := tests/gateway/node_modules/.package-lock.json

setup: $(READY)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "需要 Python 3.11 或更新版本（可用 make PYTHON=python3.12 指定）"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# The gateway is a real Wechaty gateway with a mock WeChat behind it; without Node its tests are skipped.
$(GATEWAY): tests/gateway/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/gateway --ignore-scripts --no-audit --no-fund --loglevel=error; \
	else echo "没有 npm：跳过需要真实网关的测试"; fi

run: setup
	@$(BIN)/siyu demo

test: setup $(GATEWAY)
	$(BIN)/python -m pytest -n 2

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup $(GATEWAY)
	$(BIN)/python -m bench

lock:
	$(BIN)/python -m pip freeze --exclude-editable > requirements.txt
