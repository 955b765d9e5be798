"""What the core counted, as rows that people read: lots, ticks and 1e-8 USD become base, prices and USD. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import polars as pl

from config.settings import Instrument
from exchange.rows import NOBODY, Fill, Verdict
from reports.model import EQUITY_SCHEMA, MOMENT, TEXT, TRADE_SCHEMA, ZONE_SCHEMA
from tasks.market import IntTable
from trading.ledger import Trade
from trading.metrics import drawdown_percent
from trading.model import E8, Decision, Role

SIDES = {1: "long", -1: "short"}
DECISION_SCHEMA = pl.Schema({"at": MOMENT, "instrument": TEXT, "side": TEXT, "decision": TEXT, "lost_to": TEXT})


def trade_rows(trades: Sequence[Trade], names: Sequence[str], specs: Sequence[Instrument]) -> pl.DataFrame:
    """Trades in the columns of `TRADE_SCHEMA`, numbered from 1 in the order of their entries."""
    rows = [
        _trade_row(number, trade, names[trade.instrument], specs[trade.instrument])
        for number, trade in enumerate(trades, start=1)
    ]
    return pl.DataFrame(rows, schema=_integers_for_moments(TRADE_SCHEMA), orient="row").cast(TRADE_SCHEMA)


def equity_rows(equity: IntTable, starting_usd: float) -> pl.DataFrame:
    """Equity (`at`, `equity_e8`) in the columns of `EQUITY_SCHEMA`."""
    equity_usd = equity[:, 1] / E8
    columns = {
        "at": equity[:, 0],
        "equity_usd": equity_usd,
        "drawdown_percent": drawdown_percent(equity_usd, starting_usd),
    }
    return pl.DataFrame(columns).cast(EQUITY_SCHEMA)


def settled(decisions: Iterable[Verdict], fills: Iterable[Fill], last_close_at: int) -> tuple[Verdict, ...]:
    """The decisions of a whole run, `entered` only where an entry did fill.

    One whose time was over at the last close (µs) and that never filled has expired; a later one still waits.
    """
    filled = {(fill.instrument, fill.signal_at) for fill in fills if fill.role == Role.ENTRY}
    return tuple(
        verdict._replace(decision=Decision.EXPIRED)
        if verdict.decision == Decision.ENTERED
        and verdict.expires_at < last_close_at
        and (verdict.instrument, verdict.signal_at) not in filled
        else verdict
        for verdict in decisions
    )


def decision_rows(decisions: Iterable[Verdict], names: Sequence[str]) -> pl.DataFrame:
    """What became of each signal, in the columns of `DECISION_SCHEMA`."""
    rows = [
        (
            verdict.at,
            names[verdict.instrument],
            SIDES[verdict.side],
            Decision(verdict.decision).name.lower(),
            None if verdict.lost_to == NOBODY else names[verdict.lost_to],
        )
        for verdict in decisions
    ]
    return pl.DataFrame(rows, schema=_integers_for_moments(DECISION_SCHEMA), orient="row").cast(DECISION_SCHEMA)


def zone_rows(zones: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """The zones of signals that became trades, once each, in the columns of `ZONE_SCHEMA`, oldest first.

    `zones` has the columns of `warehouse.strategies.zones`.
    """
    own = ZONE_SCHEMA.names()[:-1]
    entered = zones.join(trades.select("instrument", "signal_at", "trade_no"), on=["instrument", "signal_at"])
    rows = entered.group_by("zone_id", *own).agg(pl.col("trade_no").sort().alias("trades"))
    return rows.sort("known_at", "instrument", "zone_id").select(ZONE_SCHEMA.names()).cast(ZONE_SCHEMA)


def _trade_row(number: int, trade: Trade, name: str, spec: Instrument) -> tuple[object, ...]:
    quantity = trade.lots * spec.lot_base
    return (
        number,
        name,
        SIDES[trade.side],
        float(quantity),
        trade.signal_at,
        trade.entered_at,
        _price(trade.entry_notional_e8, quantity),
        _level(trade.stop_price, spec),
        _level(trade.target_price, spec),
        trade.exited_at,
        _price(trade.exit_notional_e8, quantity),
        str(trade.exit_reason),
        trade.gross_e8 / E8,
        trade.fees_e8 / E8,
        trade.slippage_e8 / E8,
        trade.net_e8 / E8,
        _r_multiple(trade, spec),
        trade.ambiguous,
    )


def _price(notional_e8: int, quantity: Decimal) -> float:
    """Average price of all fills."""
    return float(Decimal(notional_e8) / E8 / quantity)


def _level(ticks: int, spec: Instrument) -> float | None:
    return float(ticks * spec.tick_usd) if ticks else None


def _r_multiple(trade: Trade, spec: Instrument) -> float | None:
    """Net result in units of what the stop was to cost; None without one, or when it was no risk."""
    at_stop_e8 = int(trade.stop_price * spec.tick_usd * trade.lots * spec.lot_base * E8)
    risk_e8 = trade.side * (trade.entry_notional_e8 - at_stop_e8)
    return trade.net_e8 / risk_e8 if trade.stop_price and risk_e8 > 0 else None


def _integers_for_moments(schema: pl.Schema) -> dict[str, pl.DataType]:
    return {name: pl.Int64() if kind == MOMENT else kind for name, kind in schema.items()}
