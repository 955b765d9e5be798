"""A stored run as a file for the tax office, or a spreadsheet: exact decimals, times in UTC."""

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from config.settings import Settings
from trading.errors import InputUnusable, SetupFailed
from warehouse.backtests import RunRows, latest_run, read_run
from warehouse.connection import reading

LATEST = "latest"
PRICE_STEP = Decimal("1e-10")  # an average price has as many decimals as the venue's prices have at most
MONEY_STEP = Decimal("1e-8")
FILL_COLUMNS = (
    "run_id", "fill_no", "trade_no", "instrument", "filled_at", "role", "side", "quantity_base", "price",
    "notional_usd", "fee_usd",
)  # fmt: skip
TRADE_COLUMNS = (
    "run_id", "trade_no", "instrument", "side", "entered_at", "exited_at", "quantity_base", "entry_price",
    "exit_price", "entry_notional_usd", "exit_notional_usd", "gross_usd", "fees_usd", "funding_usd", "net_usd",
)  # fmt: skip

Row = Mapping[str, Any]


class Exported(NamedTuple):
    """What was written."""

    run_id: str
    rows: int
    left_out: int  # trades of which nothing is closed when the data ends, so nothing is realised


def export_run(settings: Settings, run: str, path: Path, *, each_fill: bool = False) -> Exported:
    """Write the closed trades of a published run to `path`, one row each, or all its fills; `run` is an id or `latest`.

    Raises:
        SetupFailed: nothing is published, or the file can't be written; `path` is then as it was.
        InputUnusable: no such run is published, or it was stored by code that kept no fills.
    """
    with reading(settings.paths.published) as connection:
        stored = read_run(connection, (latest_run(connection) if run == LATEST else None) or run)
    if stored.fills.is_empty() and not stored.trades.is_empty():
        raise InputUnusable(f"Run {stored.run_id} was stored without its fills, by older code: run the backtest again.")
    if each_fill:
        rows = list(stored.fills.iter_rows(named=True))
        _write(path, FILL_COLUMNS, rows)
        return Exported(stored.run_id, len(rows), 0)
    rows = list(closed_trades(stored))
    _write(path, TRADE_COLUMNS, rows)
    return Exported(stored.run_id, len(rows), stored.trades.height - len(rows))


def closed_trades(run: RunRows) -> Iterator[dict[str, Any]]:
    """Trades in the columns of `TRADE_COLUMNS`, as their fills add up; of an open one, what is closed."""
    by_trade: dict[int, list[Row]] = defaultdict(list)
    for fill in run.fills.iter_rows(named=True):
        by_trade[fill["trade_no"]].append(fill)
    paid: dict[int, list[Row]] = defaultdict(list)
    for payment in run.payments.iter_rows(named=True):
        paid[payment["trade_no"]].append(payment)
    for number, fills in sorted(by_trade.items()):
        entries = [fill for fill in fills if fill["role"] == "entry"]
        exits = [fill for fill in fills if fill["role"] != "entry"]
        if exits:
            yield {"run_id": run.run_id, "trade_no": number, **_closed(entries, exits, paid[number])}


def _closed(entries: Sequence[Row], exits: Sequence[Row], payments: Sequence[Row]) -> dict[str, Any]:
    quantity, entered = _total(exits, "quantity_base"), _total(entries, "quantity_base")
    entered_usd, left_usd = _share(entries, "notional_usd", quantity, entered), _total(exits, "notional_usd")
    is_long = entries[0]["side"] == "buy"
    gross_usd = left_usd - entered_usd if is_long else entered_usd - left_usd
    fees_usd = _share(entries, "fee_usd", quantity, entered) + _total(exits, "fee_usd")
    exited_at = exits[-1]["filled_at"]
    funding_usd = _total((payment for payment in payments if payment["paid_at"] <= exited_at), "amount_usd")
    return {
        "instrument": entries[0]["instrument"],
        "side": "long" if is_long else "short",
        "entered_at": entries[0]["filled_at"],
        "exited_at": exited_at,
        "quantity_base": quantity,
        "entry_price": (entered_usd / quantity).quantize(PRICE_STEP),
        "exit_price": (left_usd / quantity).quantize(PRICE_STEP),
        "entry_notional_usd": entered_usd,
        "exit_notional_usd": left_usd,
        "gross_usd": gross_usd,
        "fees_usd": fees_usd,
        "funding_usd": funding_usd,
        "net_usd": gross_usd - fees_usd - funding_usd,
    }


def _share(entries: Sequence[Row], column: str, quantity: Decimal, entered: Decimal) -> Decimal:
    """What of the entry belongs to the quantity that was closed: in proportion, as the core books it."""
    whole = _total(entries, column)
    return whole if quantity == entered else (whole * quantity / entered).quantize(MONEY_STEP)


def _total(fills: Iterable[Row], column: str) -> Decimal:
    return sum((fill[column] for fill in fills), Decimal())


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """The whole file or none: whoever opens it meanwhile sees what was there before."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_text(row[column]) for column in columns] for row in rows)
        unfinished.replace(path)
    except OSError as error:
        raise SetupFailed(f"The rows can't be written to {path}: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _text(value: object) -> str:
    """Decimals without exponent or needless zeros, times as 2023-01-02T03:04:05.000006Z."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    return str(value)
