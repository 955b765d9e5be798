# One task runner. Every recipe that runs our code first makes .venv from the lock, or finds it made (a tenth of a second).
# PYTHON=… names the Python to make it from; without it, the first of these that is new enough.

ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && exit; done; echo python3)
endif
BIN := .venv/bin
FAST := -m "not deep and not soak"
CHECKED := config exchange flows ops reports tasks trading warehouse benchmarks docs tests

export PYTHONUTF8 := 1
unexport PYTHONDONTWRITEBYTECODE           # with it, pytest rewrites every test module at every run

.DEFAULT_GOAL := help
.PHONY: help ready run sandbox venue-check stop status sql test test-deep soak check format bench check-bench bench-peers docs lock lock-peers

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

ready:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) ops/bootstrap.py

run: ready  ## the whole way once: candles in, warehouse, backtest, report, paper session
	@$(BIN)/slipway run

sandbox: ready  ## a Kraken on loopback, spot and futures, over the sample candles; Ctrl-C ends it
	@exec $(BIN)/slipway sandbox

venue-check: ready  ## with VENUE_CHECK=1: Kraken's public replies, compared with the sandbox's; read-only, no key
	@$(BIN)/slipway venue-check

stop:  ## end the Prefect server and worker that `make run` started, and nothing else
	@if [ -x $(BIN)/slipway ]; then $(BIN)/slipway stop; else echo "Nothing of this checkout was ever started."; fi

status:  ## what runs, what is published, what comes next
	@if [ -x $(BIN)/slipway ]; then $(BIN)/slipway status; else echo "Nothing of this checkout was ever started."; fi

sql: ready  ## DuckDB prompt on the published warehouse; keep it open as long as you like
	@$(BIN)/slipway sql

test: ready  ## fast tests, with coverage (nine minutes on 2 cores)
	@$(BIN)/pytest -q -n 2 --dist loadgroup $(FAST) --cov --cov-report=term

test-deep: ready  ## the larger doses, and every property on many more examples
	@$(BIN)/pytest -q -n 2 --dist loadgroup -m "(deep or property) and not soak" --hypothesis-profile deep --timeout 3600

soak: ready  ## thousands, on demand
	@$(BIN)/pytest -q -m soak --timeout 86400

check: ready  ## format, lint, types, import law, documents, dead code, secrets
	@$(BIN)/ruff format --check -q $(CHECKED)
	@$(BIN)/ruff check -q $(CHECKED)
	@$(BIN)/mypy
	@$(BIN)/vulture
	@git ls-files -z ':!*.lock' ':!data' ':!reports/vendor' | xargs -0 $(BIN)/detect-secrets-hook
	@$(BIN)/pytest -q tests/architecture tests/docs

format: ready  ## let ruff rewrite what it can
	@$(BIN)/ruff format $(CHECKED)
	@$(BIN)/ruff check --fix $(CHECKED)

bench: ready  ## one table: ours, the floor, the ratio
	@$(BIN)/python -m benchmarks

check-bench: ready  ## fail when a ratio is worse than the stored one by more than its tolerance
	@$(BIN)/python -m benchmarks --check

bench-peers: ready  ## our engine beside others on the same work, each in an environment of its own (builds them: 3 GB)
	@$(BIN)/python -m benchmarks.peers

docs: ready  ## docs/warehouse.md and the tables of docs/sandbox.md and docs/strategies.md anew, then the tests of all documents
	@$(BIN)/python docs/tables.py
	@$(BIN)/python docs/coverage.py
	@$(BIN)/python docs/strategy_list.py
	@$(BIN)/pytest -q tests/docs

lock: ready  ## requirements.lock anew from pyproject.toml, with hashes and without addresses (needs uv)
	@uv pip compile --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
		--python-version 3.11 --all-extras --quiet pyproject.toml -o requirements.lock

lock-peers: ready  ## benchmarks/peers/*.lock anew, in the same way
	@for wanted in benchmarks/peers/*.in; do \
		uv pip compile --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
			--python-version $$(case $$wanted in *nautilus*) echo 3.12;; *) echo 3.11;; esac) \
			--quiet $$wanted -o $${wanted%.in}.lock || exit; done
