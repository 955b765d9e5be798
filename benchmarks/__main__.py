"""`make bench`: measure, print, write `.slipway/bench.json`. `make check-bench`: compare with the stored ratios too."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import backtests, engine, history, ingest, sandbox, signals, smc, trades
from benchmarks.table import regressions, show, write
from config.settings import load_settings

STORED = Path(__file__).resolve().parent / "stored.json"


def main() -> int:
    """Exit code 0 if every bar held and, with `--check`, no stored ratio was exceeded."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument(
        "--check", action="store_true", help="fail when a ratio is worse than in benchmarks/stored.json"
    )
    parser.add_argument("--store", action="store_true", help="keep the ratios in benchmarks/stored.json")
    arguments = parser.parse_args()
    path = load_settings().paths.state / "bench.json"
    rows = [
        *engine.measure(),
        *backtests.measure(),
        *smc.measure(),
        *ingest.measure(),
        *history.measure(),
        *trades.measure(),
        *sandbox.measure(),
        *signals.measure(),  # last: a process takes the peak memory of the one that began it for its own
    ]
    write(rows, path)
    show(rows)
    measured = json.loads(path.read_text(encoding="utf-8"))
    if arguments.store:
        ratios = {name: round(row["ratio"], 2) for name, row in measured.items() if row["baseline"] is not None}
        STORED.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")
    slower = regressions(measured, json.loads(STORED.read_text(encoding="utf-8"))) if arguments.check else []
    sys.stdout.writelines(f"{line}\n" for line in slower)
    return 0 if all(row.ok for row in rows) and not slower else 1


if __name__ == "__main__":
    sys.exit(main())
