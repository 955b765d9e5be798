"""What the core counted, as rows that people read: lots, ticks and 1e-8 USD become base, prices and USD. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import polars as pl

from config.settings import Instrument
from exchange.rows import NOBODY, Ending, Fill, Payment, Verdict
from reports.model import EQUITY_SCHEMA, MOMENT, TEXT, TRADE_SCHEMA, ZONE_SCHEMA
from tasks.market import IntTable
from trading.ledger import Trade
from trading.metrics.excursions import Excursions
from trading.metrics.returns import drawdown_percent
from trading.model import E8, Decision, Role

SIDES = {1: "long", -1: "short"}
ROLES = {int(role): role.name.lower() for role in Role}
FILL_SCHEMA = pl.Schema({
    "fill_no": pl.Int64(),
    "trade_no": pl.Int64(),
    "instrument": TEXT,
    "filled_at": MOMENT,
    "role": TEXT,  # entry | stop | target_1 … | exit
    "side": TEXT,  # buy | sell
    "quantity_base": pl.Decimal(28, 10),
    "price": pl.Decimal(18, 10),
    "notional_usd": pl.Decimal(28, 8),
    "fee_usd": pl.Decimal(18, 8),
    "slippage_usd": pl.Decimal(18, 8),  # inside the price already
    "ambiguous": pl.Boolean(),
    "spread_usd": pl.Decimal(18, 8),
})  # fmt: skip
PAYMENT_SCHEMA = pl.Schema({
    "trade_no": pl.Int64(),
    "instrument": TEXT,
    "since": MOMENT,
    "paid_at": MOMENT,
    "amount_usd": pl.Decimal(18, 8),  # less than 0: received
})  # fmt: skip
DECISION_SCHEMA = pl.Schema({"at": MOMENT, "instrument": TEXT, "side": TEXT, "decision": TEXT, "lost_to": TEXT})


def trade_rows(
    trades: Sequence[Trade], excursions: Excursions, names: Sequence[str], specs: Sequence[Instrument]
) -> pl.DataFrame:
    """Trades in the columns of `TRADE_SCHEMA`, numbered from 1 in the order of their entries."""
    moved = zip(excursions.adverse_e8.tolist(), excursions.favourable_e8.tolist(), strict=True)
    rows = [
        (number, *_trade_row(trade, names[trade.instrument], specs[trade.instrument], against_e8, for_e8))
        for number, (trade, (against_e8, for_e8)) in enumerate(zip(trades, moved, strict=True), start=1)
    ]
    return pl.DataFrame(rows, schema=_integers_for_moments(TRADE_SCHEMA), orient="row").cast(TRADE_SCHEMA)


def fill_rows(fills: IntTable, trades: pl.DataFrame, names: Sequence[str], specs: Sequence[Instrument]) -> pl.DataFrame:
    """Fills (columns of `Fill`) in the columns of `FILL_SCHEMA`, exact, numbered from 1 in the order they happened.

    `trades` are the rows that they were made into.
    """
    table = pl.DataFrame(fills, schema=dict.fromkeys(Fill._fields, pl.Int64), orient="row")
    own = trades.select("trade_no", "instrument", pl.col("signal_at").dt.epoch("us"))
    lots, ticks = (pl.col(name).cast(pl.Decimal(38, 0)) for name in ("lots", "price"))
    per_lot, per_tick = (
        pl.col("instrument").replace_strict(range(len(names)), values, return_dtype=pl.Decimal(28, 10))
        for values in ([spec.lot_base for spec in specs], [spec.tick_usd for spec in specs])
    )
    quantity, price = lots * per_lot, ticks * per_tick
    exact = table.with_row_index("fill_no", offset=1).with_columns(
        instrument=pl.col("instrument").replace_strict(range(len(names)), names, return_dtype=pl.String),
        role=pl.col("role").replace_strict(ROLES, return_dtype=pl.String),
        side=pl.when(pl.col("side") > 0).then(pl.lit("buy")).otherwise(pl.lit("sell")),
        quantity_base=quantity,
        price=price,
        notional_usd=quantity * price,
        fee_usd=_in_usd("fee_e8"),
        slippage_usd=_in_usd("slippage_e8"),
        spread_usd=_in_usd("spread_e8"),
        filled_at=pl.col("at"),
        ambiguous=pl.col("ambiguous") != 0,
    )
    rows = exact.join(own, on=["instrument", "signal_at"], how="left").sort("fill_no")
    return rows.select(FILL_SCHEMA.names()).cast(FILL_SCHEMA)


def payment_rows(payments: IntTable, trades: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Funding (columns of `Payment`) in the columns of `PAYMENT_SCHEMA`, exact, in the order in which it was paid."""
    table = pl.DataFrame(payments, schema=dict.fromkeys(Payment._fields, pl.Int64), orient="row")
    own = trades.select("trade_no", "instrument", pl.col("signal_at").dt.epoch("us"))
    exact = table.with_columns(
        instrument=pl.col("instrument").replace_strict(range(len(names)), names, return_dtype=pl.String),
        paid_at=pl.col("at"),
        amount_usd=_in_usd("amount_e8"),
    )
    rows = exact.join(own, on=["instrument", "signal_at"], how="left", maintain_order="left")
    return rows.select(PAYMENT_SCHEMA.names()).cast(PAYMENT_SCHEMA)


def equity_rows(equity: IntTable, starting_usd: float) -> pl.DataFrame:
    """Equity (`at`, `equity_e8`) in the columns of `EQUITY_SCHEMA`."""
    equity_usd = equity[:, 1] / E8
    columns = {
        "at": equity[:, 0],
        "equity_usd": equity_usd,
        "drawdown_percent": drawdown_percent(equity_usd, starting_usd),
    }
    return pl.DataFrame(columns).cast(EQUITY_SCHEMA)


def settled(decisions: Iterable[Verdict], fills: Iterable[Fill], endings: Iterable[Ending]) -> tuple[Verdict, ...]:
    """The decisions of a whole run: of an entry that ended without a fill, why. One that still waits is `entered`."""
    filled = {(fill.instrument, fill.signal_at) for fill in fills if fill.role == Role.ENTRY}
    ended = {(ending.instrument, ending.signal_at): ending.reason for ending in endings}
    return tuple(
        verdict._replace(decision=ended[key])
        if verdict.decision == Decision.ENTERED
        and (key := (verdict.instrument, verdict.signal_at)) in ended
        and key not in filled
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


def _trade_row(
    trade: Trade, name: str, spec: Instrument, against_e8: int, for_e8: int
) -> tuple[str | float | bool | None, ...]:
    quantity = trade.lots * spec.lot_base
    risk_e8 = _risk_e8(trade, spec)
    return (
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
        _in_r(trade.net_e8, risk_e8),
        trade.ambiguous,
        against_e8 / E8,
        for_e8 / E8,
        _in_r(against_e8, risk_e8),
        _in_r(for_e8, risk_e8),
        trade.spread_e8 / E8,
        trade.funding_e8 / E8,
    )


def _price(notional_e8: int, quantity: Decimal) -> float:
    """Average price of all fills."""
    return float(Decimal(notional_e8) / E8 / quantity)


def _level(ticks: int, spec: Instrument) -> float | None:
    return float(ticks * spec.tick_usd) if ticks else None


def _risk_e8(trade: Trade, spec: Instrument) -> int | None:
    """What the stop was to cost; None without one, or when it was no risk."""
    at_stop_e8 = int(trade.stop_price * spec.tick_usd * trade.lots * spec.lot_base * E8)
    risk_e8 = trade.side * (trade.entry_notional_e8 - at_stop_e8)
    return risk_e8 if trade.stop_price and risk_e8 > 0 else None


def _in_r(amount_e8: int, risk_e8: int | None) -> float | None:
    return None if risk_e8 is None else amount_e8 / risk_e8


def _in_usd(column: str) -> pl.Expr:
    """1e-8 USD as exact decimals."""
    return pl.col(column).cast(pl.Decimal(38, 8)) / E8


def _integers_for_moments(schema: pl.Schema) -> dict[str, pl.DataType]:
    return {name: pl.Int64() if kind == MOMENT else kind for name, kind in schema.items()}
