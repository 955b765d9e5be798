"""Looks at a venue, one after another: what each saw, and whether it was believed.

What was accepted last is in force. A refused look is kept with its lists and the reasons, and changes nothing else.
Each source is a venue of its own: what a sandbox lists says nothing about Kraken.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

import duckdb

from trading.errors import InputUnusable
from warehouse.reference.lists import (
    ASSET_PAIRS,
    CONTRACTS,
    UNIVERSE,
    CandidateRow,
    ContractRow,
    PairRow,
    store_list,
)


class Discovery(NamedTuple):
    """One look at the venue. With doubts it is refused; `candidates` are then not looked at."""

    source: str
    fetched_at: datetime
    pairs: Sequence[PairRow]
    contracts: Sequence[ContractRow]
    candidates: Sequence[CandidateRow]
    doubts: tuple[str, ...]


class Names(NamedTuple):
    """What was listed when the venue was believed last: spot pairs by our names, contracts by the venue's."""

    fetched_at: datetime
    pairs: frozenset[str]
    contracts: frozenset[str]
    members: frozenset[str]  # of the universe, by their spot pairs


class Refusal(NamedTuple):
    """Looks refused in a row: when the first was, and the reasons of the last."""

    began_at: datetime
    doubts: tuple[str, ...]


_Said: TypeAlias = tuple[str, str, int, int, int | None]


def record(connection: duckdb.DuckDBPyConnection, discovery: Discovery) -> bool:
    """Store a look in the caller's transaction; False if it says just what the newest one does: then nothing is added.

    Raises:
        InputUnusable: a list has a member twice or a number that does not fit, or the newest look is from later than
            this one; nothing may be kept of it.
    """
    said = _said(connection, discovery)
    newest = connection.execute(
        "select fetched_at, state, doubts, asset_pairs_list, contracts_list, universe_list"
        " from raw.discoveries where source = ? order by discovery_id desc limit 1",
        [discovery.source],
    ).fetchone()
    if newest is not None and tuple(newest[1:]) == said:
        return False
    if newest is not None and discovery.fetched_at <= newest[0]:
        raise InputUnusable(
            f"This look is from {discovery.fetched_at.isoformat()}, and one from {newest[0].isoformat()} is stored: "
            "another run was faster, or the clock was set back. Look again, with the right clock."
        )
    connection.execute(
        "insert into raw.discoveries"
        " select coalesce(max(discovery_id), 0) + 1, ?, ?, ?, ?, ?, ?, ? from raw.discoveries",
        [discovery.source, discovery.fetched_at, *said],
    )
    return True


def in_force(connection: duckdb.DuckDBPyConnection, source: str) -> Names | None:
    """The names that a venue listed when it was believed last; None: it never was."""
    row = connection.execute(
        "select fetched_at, asset_pairs_list, contracts_list, universe_list from raw.discoveries"
        " where source = ? and state = 'accepted' order by discovery_id desc limit 1",
        [source],
    ).fetchone()
    if row is None:
        return None
    return Names(
        row[0],
        _names(
            connection, "select instrument from raw.asset_pairs where list_id = ? and instrument is not null", row[1]
        ),
        _names(connection, "select symbol from raw.contracts where list_id = ?", row[2]),
        _names(connection, "select instrument from raw.universe where list_id = ? and is_member", row[3]),
    )


def members(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    """The contract of each spot pair of the universe in force, by name; none, when a venue was never believed."""
    rows = connection.execute(
        """
        select instrument, contract from raw.universe
        where is_member and list_id = (
            select universe_list from raw.discoveries
            where source = ? and state = 'accepted' order by discovery_id desc limit 1
        )
        order by instrument
        """,
        [source],
    ).fetchall()
    return dict(rows)


def newest_refusal(connection: duckdb.DuckDBPyConnection, source: str) -> Refusal | None:
    """The newest row of refused looks, whether it goes on or not; None: none was ever refused."""
    row = connection.execute(
        """
        with looks as (
            select *, count(*) filter (state = 'accepted') over (order by discovery_id) as accepted_before
            from raw.discoveries where source = ?
        )
        select min(fetched_at), max_by(doubts, discovery_id)
        from looks
        where state = 'refused'
        group by accepted_before
        order by accepted_before desc
        limit 1
        """,
        [source],
    ).fetchone()
    return None if row is None else Refusal(row[0], tuple(row[1].split("\n")))


def _said(connection: duckdb.DuckDBPyConnection, discovery: Discovery) -> _Said:
    """What a look says, as its row says it."""
    source, fetched_at = discovery.source, discovery.fetched_at
    pairs = store_list(connection, ASSET_PAIRS, discovery.pairs, source=source, fetched_at=fetched_at)
    contracts = store_list(connection, CONTRACTS, discovery.contracts, source=source, fetched_at=fetched_at)
    if discovery.doubts:
        return "refused", "\n".join(discovery.doubts), pairs, contracts, None
    universe = store_list(connection, UNIVERSE, discovery.candidates, source=source, fetched_at=fetched_at)
    return "accepted", "", pairs, contracts, universe


def _names(connection: duckdb.DuckDBPyConnection, query: str, list_id: int) -> frozenset[str]:
    return frozenset(name for (name,) in connection.execute(query, [list_id]).fetchall())
