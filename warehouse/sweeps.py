"""A sweep as rows of a file of its own: what a strategy came to with each set of parameters, in each window of time.

`marts.backtests` holds runs that somebody asked for. The thousands of a sweep are no such runs: most of them are there
to be compared, and to show how easily the best of many looks good.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl

from trading.errors import SetupFailed, WarehouseBusy
from warehouse.connection import configure

# Columns of `results` that measure a run, in the terms of `marts.backtests`.
MEASURES = (
    "trades", "net_profit_usd", "return_percent", "max_drawdown_percent", "sharpe", "sortino", "win_rate_percent",
    "profit_factor", "expectancy_r", "exposure_percent", "fees_usd", "slippage_usd",
)  # fmt: skip

_TABLES = f"""
    create table if not exists sweep (
        sweep_id varchar primary key, strategy varchar, strategy_sql varchar, instruments varchar[], timeframe varchar,
        first_candle_at timestamptz, last_candle_at timestamptz, candles bigint, sets bigint, configuration json,
        code_version varchar, hashes json, begun_at timestamptz
    );
    create table if not exists windows (
        window_no integer primary key, kind varchar, fold integer, first timestamptz, last timestamptz
    );
    create table if not exists results (
        set_no integer, window_no integer, parameters json, error varchar,
        {", ".join(f"{name} double" for name in MEASURES)}, daily_returns double[],
        primary key (set_no, window_no)
    );
"""

_KINDS: dict[str, pl.DataType] = {
    "set_no": pl.Int32(),
    "window_no": pl.Int32(),
    "error": pl.String(),
    "daily_returns": pl.List(pl.Float64()),
    **dict.fromkeys(MEASURES, pl.Float64()),
}


class Window(NamedTuple):
    """A span of time that strategies are measured in: candles that open at or after `first`, and close by `last`."""

    kind: str  # all | train | test
    fold: int  # 0: none
    first: datetime
    last: datetime


class Measured(NamedTuple):
    """A set of parameters in one window. Nothing, where the window has no candles."""

    figures: Mapping[str, float | None]  # `MEASURES`
    daily_returns: list[float] | None


class SetResult(NamedTuple):
    """What one set of parameters came to in each window, or why it can't be tried."""

    number: int
    parameters: Mapping[str, object]
    measured: tuple[Measured, ...]
    error: str = ""


class SweepFile:
    """The results of one sweep. Made by `sweep_file`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def begin(self, facts: Mapping[str, object], windows: Sequence[Window]) -> frozenset[int]:
        """Note what is swept, unless it is noted; the numbers of the sets that were tried before."""
        if self._connection.execute("select count(*) from sweep").fetchone() == (0,):
            given = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in facts.items()}
            rows = [{"window_no": number, **window._asdict()} for number, window in enumerate(windows)]
            self._connection.begin()  # a row of `sweep` without its windows would be taken for a sweep that has none
            self._insert("sweep", pl.DataFrame([given], infer_schema_length=None))
            self._insert("windows", pl.DataFrame(rows))
            self._connection.commit()
        return frozenset(number for (number,) in self._connection.execute("select set_no from results").fetchall())

    def add(self, results: Iterable[SetResult]) -> None:
        """Add the rows of some sets, all or none of them."""
        rows = [row for result in results for row in _rows(result)]
        if rows:
            self._insert("results", pl.DataFrame(rows, schema_overrides=_KINDS, infer_schema_length=None))

    def results(self) -> pl.DataFrame:
        """All rows but their daily returns, with their windows, by set and window."""
        return self._connection.execute(
            "select * exclude (daily_returns) from results join windows using (window_no) order by set_no, window_no"
        ).pl()

    def daily_returns(self) -> pl.DataFrame:
        """Of each set, over all of the time: `set_no` and `daily_returns`, null where everything was lost."""
        return self._connection.execute(
            "select set_no, daily_returns from results join windows using (window_no)"
            " where kind = 'all' and error is null order by set_no"
        ).pl()

    def _insert(self, table: str, rows: pl.DataFrame) -> None:
        self._connection.register("given", rows)
        self._connection.execute(f"insert into {table} by name from given")
        self._connection.unregister("given")


def told(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Parameters and figures of a row of `results`."""
    return json.loads(row["parameters"]), {name: row[name] for name in MEASURES}


@contextmanager
def sweep_file(path: Path) -> Iterator[SweepFile]:
    """The file of one sweep, made where there is none; nobody else can open it meanwhile.

    Raises:
        WarehouseBusy: another process has it open: the same sweep is running, or somebody queries it.
        SetupFailed: it can't be made or opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path))
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise WarehouseBusy(f"{path} is open in another process: {error}") from error
        raise SetupFailed(f"The results of the sweep can't be kept in {path}: {error}") from error
    except OSError as error:
        raise SetupFailed(f"The results of the sweep can't be kept in {path}: {error}") from error
    try:
        configure(connection)
        connection.execute(_TABLES)
        yield SweepFile(connection)
    finally:
        connection.close()


def _rows(result: SetResult) -> Iterator[dict[str, object]]:
    told = {"set_no": result.number, "parameters": json.dumps(dict(result.parameters)), "error": result.error or None}
    if not result.measured:
        yield {**told, "window_no": 0, **dict.fromkeys(MEASURES), "daily_returns": None}
    for number, measured in enumerate(result.measured):
        figures = {name: measured.figures.get(name) for name in MEASURES}
        yield {**told, "window_no": number, **figures, "daily_returns": measured.daily_returns}
