"""Lists of markets, as the venue stated them or as we judged them: stored once per content.

A list is some hundred rows that seldom change. The same list again is the same number, whatever came in between.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import duckdb
import pyarrow as pa

from trading.errors import InputUnusable
from warehouse.reference.exact import exactly, rounded
from warehouse.reference.schema import NUMBER_DECIMALS


class PairRow(NamedTuple):
    """A row of `raw.asset_pairs`. Minimums: `ordermin` in base, `costmin` in quote units."""

    altname: str
    instrument: str | None
    wsname: str | None
    base: str
    quote: str
    pair_decimals: int
    lot_decimals: int
    cost_decimals: int
    status: str
    ordermin: Decimal | None
    costmin: Decimal | None
    tick_size: Decimal | None
    leverage_buy: tuple[int, ...]
    leverage_sell: tuple[int, ...]
    long_position_limit: int | None
    short_position_limit: int | None


class ContractRow(NamedTuple):
    """A row of `raw.contracts`. `margin_levels` is JSON, see the schema."""

    symbol: str
    instrument: str | None
    type: str
    base: str | None
    quote: str | None
    pair: str | None
    tradeable: bool
    post_only: bool
    is_expired: bool
    tick_size: Decimal | None
    contract_size: Decimal | None
    contract_value_trade_precision: int | None
    impact_mid_size: Decimal | None
    max_position_size: Decimal | None
    opening_date: datetime | None
    last_trading_time: datetime | None
    funding_rate_coefficient: Decimal | None
    max_relative_funding_rate: Decimal | None
    margin_levels: str


class CandidateRow(NamedTuple):
    """A row of `raw.universe`. `reasons` why it is out, joined by `; `; empty for a member."""

    instrument: str
    contract: str | None
    is_member: bool
    reasons: str
    volume_24h_usd: Decimal | None
    spread_bps: Decimal | None


Row: TypeAlias = PairRow | ContractRow | CandidateRow


class ListKind(NamedTuple):
    """Where lists of one kind are kept: the table's name in `raw`, and the column that names a member."""

    table: str
    key: str
    fitted: Callable[[Decimal, int, str], Decimal]


ASSET_PAIRS = ListKind("asset_pairs", "altname", exactly)
CONTRACTS = ListKind("contracts", "symbol", exactly)
UNIVERSE = ListKind("universe", "instrument", rounded)  # its numbers are measures, divided


def store_list(
    connection: duckdb.DuckDBPyConnection,
    kind: ListKind,
    rows: Sequence[Row],
    *,
    source: str,
    fetched_at: datetime,
) -> int:
    """The number of the list with these rows, in whatever order; stored if it has never been seen.

    Raises:
        InputUnusable: a member twice, or a number that its column can't hold; nothing was stored.
    """
    members = _once_each(kind, rows)
    content_hash = _content_hash(members)
    known = connection.execute(
        "select list_id from raw.market_lists where kind = ? and content_hash = ?", [kind.table, content_hash]
    ).fetchone()
    if known is not None:
        found: int = known[0]
        return found
    list_id = _next_id(connection)
    connection.execute(
        "insert into raw.market_lists values (?, ?, ?, ?, ?, ?)",
        [list_id, kind.table, content_hash, len(members), source, fetched_at],
    )
    if members:
        _insert(connection, kind, list_id, members)
    return list_id


def _once_each(kind: ListKind, rows: Sequence[Row]) -> list[dict[str, object]]:
    """The rows as columns, in the order of their names."""
    members: dict[str, dict[str, object]] = {}
    for row in rows:
        name: str = getattr(row, kind.key)
        if name in members:
            raise InputUnusable(f"The list of {kind.table} has {name} twice: ask the venue again.")
        members[name] = {
            column: kind.fitted(value, NUMBER_DECIMALS, f"{column} of {name}") if isinstance(value, Decimal) else value
            for column, value in row._asdict().items()
        }
    return [members[name] for name in sorted(members)]


def _content_hash(members: list[dict[str, object]]) -> str:
    return hashlib.sha256(json.dumps(members, default=str).encode()).hexdigest()


def _next_id(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select coalesce(max(list_id), 0) + 1 from raw.market_lists").fetchone()
    assert row is not None
    number: int = row[0]
    return number


def _insert(
    connection: duckdb.DuckDBPyConnection, kind: ListKind, list_id: int, members: list[dict[str, object]]
) -> None:
    connection.register("given_list", pa.Table.from_pylist(members))
    try:
        connection.execute(
            f"insert into raw.{kind.table} by name select $list_id as list_id, * from given_list", {"list_id": list_id}
        )
    finally:
        connection.unregister("given_list")
