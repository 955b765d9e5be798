"""Write docs/warehouse.md from a published warehouse: every table, what a row is, every column. `make docs` runs it."""

import sys
from pathlib import Path

from config.settings import ROOT, load_settings
from warehouse.connection import reading
from warehouse.stages import load_stages

# What a row is, for the tables that code writes. The others say it in the header of their file.
WRITTEN_BY_CODE = {
    "checks.results": "one row per check and run: SQL checks and Great Expectations",
    "features.indicators": "one row per closed candle; NULL while an indicator warms up",
    "features.smc": "one row per closed candle: what [Smart Money Concepts](smc.md) say at its close",
    "marts.backtests": "one row per run; the same inputs give the same `run_id`",
    "marts.decisions": (
        "one row per signal that a run saw, with the reason it was taken or not; `lost_to` is the instrument of a "
        "higher rank that had the room at that close"
    ),
    "marts.equity": "one row per run and close",
    "marts.fills": "one row per fill of a run, in exact decimals; `marts.trades` are made of them",
    "marts.funding_payments": (
        "one row per hour in a position, or part of one before a fill: what a run paid for holding it, or received "
        "(less than 0)"
    ),
    "marts.journal": "one row per row of a session's journal, hash chain included; one begun anew is `name@hash`",
    "marts.trades": "one row per trade of a run",
    "marts.zones": "one row per [zone](smc.md): `closed_at` is its end, in the year 9999 while it is open",
    "meta.built": "one row: a hash of the validated files and the believed looks that the stages were built from",
    "meta.checked": "one row per check of rows alone: what it looked at when it last passed",
    "meta.cleared": "one row: a hash of what the checks passed, all of `raw` included; only that is published",
    "meta.files": "one row per file of candles, as the last build saw it: what is new since is told by it",
    "meta.publication": "one row: when this file was published, by which code",
    "meta.schema": "one row: the version of the tables that code writes",
    "meta.smc_states": "up to three rows per series: where the fold of Smart Money Concepts stands; a cache",
    "meta.stages": "one row per stage: what it was made of when it was last built",
    "meta.unchecked": "one row per build and stage that it changed since the checks last passed, and since which close",
    "raw.asset_pairs": "one row per list and spot pair that the venue stated",
    "raw.batches": "one row per batch that was landed, and what became of it",
    "raw.candle_rows": "one row per candle and file that stated it; append-only",
    "raw.contracts": "one row per list and contract that the venue stated",
    "raw.discoveries": "one row per look at the lists of a venue, and whether it was believed",
    "raw.files": "one row per file of a batch: whether it was validated, and what it vouches for",
    "raw.funding_rates": "one row per contract, hour and rate that the venue stated for it; the newest fetch holds",
    "raw.kraken_ohlcvt": "one row per candle and file that stated it, with its lineage",
    "raw.market_lists": "one row per list of markets with a content of its own; `kind` is the table of its rows",
    "raw.quarantine": "one row per line of a file that could not be trusted, with the reason",
    "raw.universe": "one row per list of verdicts and spot pair",
    "raw.sources": "one row per source of candles: whose word counts most, and who vouches for his holes",
}
PREFACE = """# Every table

Written by `make docs` from the published warehouse; a test fails when it is out of date. Times are UTC and say which
time they are. Prices and volumes keep the venue's decimals. Start with `marts.candles`.
"""


def main() -> None:
    """Write the document."""
    settings = load_settings()
    (ROOT / "docs" / "warehouse.md").write_text(document(settings.paths.published, settings.paths.sql), "utf-8")


def document(published: Path, sql: Path) -> str:
    """The document as text.

    Raises KeyError: a table that code writes is not described here.
    """
    grains = {stage.name: stage.header.grain for stage in load_stages(sql) if stage.header}
    with reading(published) as connection:
        columns = connection.execute(
            "select schema_name || '.' || table_name as name, column_name, data_type from duckdb_columns()"
            " where not internal order by name, column_index"
        ).fetchall()
    lines = [PREFACE]
    for name in sorted({row[0] for row in columns}, key=lambda name: (not name.startswith("marts."), name)):
        grain = WRITTEN_BY_CODE.get(name) or grains[name]
        lines += [f"## {name}", "", f"{grain[0].upper()}{grain[1:]}.", "", "| column | type |", "| --- | --- |"]
        lines += [f"| `{column}` | {kind.lower()} |" for table, column, kind in columns if table == name]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
