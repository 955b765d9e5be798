"""A refusal is found in any text, says where and what to do instead; the words that are allowed are pure."""

import duckdb
import pytest
from strategy_sql import HEADER, refusals

from trading.errors import InputUnusable
from warehouse.grammar.headers import Header
from warehouse.grammar.lint import refuse
from warehouse.grammar.vocabulary import FLOAT_AGGREGATES, FRAMED, FUNCTIONS, OPERATORS, RANKINGS


def test_a_refusal_names_line_word_and_what_to_do_instead():
    sql = (
        HEADER
        + "select\n    lead(close) over (partition by instrument, timeframe order by closed_at)\nfrom marts.candles"
    )
    with pytest.raises(InputUnusable) as raised:
        refuse(refusals(sql), "signals_cheat.sql")
    assert "signals_cheat.sql is refused" in str(raised.value)
    assert "line 8: lead (look-ahead): it reads later candles" in str(raised.value)


def test_lines_are_counted_in_text_beyond_ascii():
    sql = HEADER + "-- é ü 漢字 🙂\nselect 'é🙂' as a,\n    now() as b from marts.candles"
    assert [(r.line, r.found) for r in refusals(sql)] == [(9, "now")]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "empty"),
        ("select 1; select 2", "2 statements"),
        ("drop table marts.candles", "not one SELECT"),
        ("insert into marts.candles values (1)", "not one SELECT"),
        ("select 1 from", "syntax error"),
        ("pivot marts.candles on side using count(*)", "not one SELECT"),
    ],
)
def test_refuses_what_is_not_one_select(sql, said):
    with pytest.raises(InputUnusable, match=said):
        refusals(sql, Header())


def test_every_allowed_word_is_a_pure_function_of_this_database():
    rows = duckdb.sql("select function_name, function_type, stability from duckdb_functions()").fetchall()
    pure = {name for name, kind, stability in rows if kind == "scalar" and stability == "CONSISTENT"}
    aggregates = {name for name, kind, _ in rows if kind == "aggregate"}
    as_macro = {"nullif"}
    assert (FUNCTIONS | OPERATORS) - pure == as_macro
    assert (FRAMED | RANKINGS) - aggregates == set()
    assert not (FUNCTIONS | FRAMED) & FLOAT_AGGREGATES
