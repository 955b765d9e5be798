"""Inputs some instruments at a time: every row in one portion, every instrument in one piece."""

import duckdb
import pytest

from warehouse.changes import portions

NAMES = ["A/USD", "B/USD", "O'B/USD", "Z/USD"]


@pytest.fixture
def tables():
    with duckdb.connect() as connection:
        connection.execute("create table one as select unnest($names) as instrument, 1 as said", {"names": NAMES * 3})
        connection.execute("create table other as select 'B/USD' as instrument, unnest(range(4)) as said")
        yield connection


def portions_of(connection, *inputs):
    """Of each portion the instruments of each input."""
    return [
        [
            [name for (name,) in connection.execute(f"select instrument from {views[table]} order by all").fetchall()]
            for table in inputs
        ]
        for views in portions.by_instrument(connection, inputs)
    ]


@pytest.mark.parametrize(("rows", "number"), [(1, 4), (6, 3), (1_000, 1)])
def test_every_row_is_in_one_portion_and_an_instrument_in_one_piece(rows, number, tables, monkeypatch):
    monkeypatch.setattr(portions, "ROWS_AT_ONCE", rows)
    found = portions_of(tables, "one", "other")
    assert len(found) == number
    assert [name for one, _ in found for name in one] == sorted(NAMES * 3)
    assert [name for _, other in found for name in other] == ["B/USD"] * 4


def test_there_is_a_portion_of_nothing(tables):
    tables.execute("delete from one")
    assert portions_of(tables, "one") == [[[]]]


def test_nothing_is_left_behind(tables):
    portions_of(tables, "one", "other")
    assert tables.execute("select count(*) from duckdb_views() where not internal").fetchall() == [(0,)]
