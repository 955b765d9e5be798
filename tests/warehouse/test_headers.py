"""Headers and parameters: read as written, and a slip is named with file and line."""

from datetime import timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import InputUnusable
from warehouse.grammar.headers import Header, complete, parse_header
from warehouse.grammar.parameters import Param, parameters_set, values_of

WHOLE = """-- Two averages cross: one is fast, one is slow.
--
-- grain: one row per cross
-- key: instrument, timeframe, closed_at
-- lookback: 50 candles
-- needs: ema(20), atr(14)
-- materialized: view
-- param: stop_atr double = 2.0
-- param: bars integer = 3
-- param: loud boolean = true
-- param: venue varchar = 'kraken'

select 1
-- grain: not a header any more
"""


def test_reads_every_field():
    assert parse_header(WHOLE, "x.sql") == Header(
        grain="one row per cross",
        key=("instrument", "timeframe", "closed_at"),
        lookback=50,
        lookback_said=True,
        needs=("ema(20)", "atr(14)"),
        materialized="view",
        params=(
            Param("stop_atr", "double", 2.0),
            Param("bars", "integer", 3),
            Param("loud", "boolean", True),
            Param("venue", "varchar", "kraken"),
        ),
        says="Two averages cross: one is fast, one is slow.",
    )


def test_a_file_without_a_header_has_an_empty_one():
    assert parse_header("select 1", "x.sql") == Header()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("-- lookbak: 5 candles", "line 1: `lookbak` is no header field; did you mean `lookback`"),
        ("--\n-- grain: a\n-- grain: b", "line 3: the header says `grain: b` a second time"),
        ("-- param: a double = 1\n-- param: a double = 2", "line 2: .* a second time"),
        ("-- lookback: a while", "must be `full`, a count such as"),
        ("-- reach: 2 days", "needs a lookback that is a time"),
        ("-- lookback: 5 candles\n-- reach: 2 days", "needs a lookback that is a time"),
        ("-- lookback: 3 days\n-- reach: 2 candles", "must be a time such as"),
        ("-- lookback: -5 candles", "must be `full`, a count such as"),
        ("-- apart: timeframe", "must be `instrument`"),
        ("-- key: a b", "must list columns"),
        ("-- key:", "must list columns"),
        ("-- materialized: index", "must be `table` or `view`"),
        ("-- param: a", "a parameter reads"),
        ("-- param: a float = 1", "of type double, integer, boolean or varchar"),
        ("-- param: a double = nan", "must be a finite number, not 'nan'"),
        ("-- param: a integer = -1", "whole number, not negative"),
        ("-- param: a boolean = maybe", "must be true or false"),
        ("-- param: a double = 3 in 1 .. 2", "the default of a is 3.0; it must be in 1.0 .. 2.0"),
        ("-- param: a integer = 3 in 1, 2", "the default of a is 3; it must be in 1, 2"),
        ("-- param: a integer = 1 in 2 .. 1", "2 is more than 1; the least comes first"),
        ("-- param: a integer = 1 in 1, b", "what a may be must be a whole number"),
        ("-- param: a varchar = x in x .. y", "only numbers have a least and a most; a varchar lists its values"),
        ("-- rejections: a, b", "must name the CTE that holds the candidates"),
    ],
)
def test_a_slip_is_named(header, said):
    with pytest.raises(InputUnusable, match=said) as raised:
        parse_header(header, "sql/marts/x.sql")
    assert "sql/marts/x.sql" in str(raised.value)


def test_a_lookback_can_be_a_time():
    header = parse_header("-- lookback: 3 days\n-- reach: 1 day\nselect 1", "x.sql")
    assert (header.lookback, header.span, header.reach) == (None, timedelta(days=3), timedelta(days=1))


def test_instruments_may_be_told_apart():
    assert parse_header("-- apart: instrument\nselect 1", "x.sql").is_apart
    assert not parse_header("select 1", "x.sql").is_apart


def test_a_stage_must_say_grain_key_and_lookback():
    with pytest.raises(InputUnusable, match=r"x.sql: the header lacks `-- grain: …`, `-- lookback: …`"):
        complete(parse_header("-- key: a\nselect 1 as a", "x.sql"), "x.sql")


def test_a_parameter_may_be_held_to_a_range_or_to_a_list():
    header = parse_header(
        "-- param: a double = 2 in 0.5 .. 3 -- from the entry\n-- param: b integer = 20 in 20, 50\n"
        "-- param: c varchar = 'x' in 'x', y\n-- param: d varchar = 'buy in dips' in 'buy in dips', 'buy in falls'\n"
        "-- param: e varchar = 'once in a day' -- quoted, since ` in ` begins a list",
        "x.sql",
    )
    assert [param.says for param in header.params[:3]] == ["from the entry", "", ""]
    assert [(param.name, param.default, param.allowed) for param in header.params] == [
        ("a", 2.0, "0.5 .. 3.0"),
        ("b", 20, "20, 50"),
        ("c", "x", "x, y"),
        ("d", "buy in dips", "buy in dips, buy in falls"),
        ("e", "once in a day", ""),
    ]
    values = values_of(header.params, {"a": "0.5", "b": 50, "c": "y", "d": "buy in falls"}, "x.sql")
    assert values == {"a": 0.5, "b": 50, "c": "y", "d": "buy in falls", "e": "once in a day"}
    for given_values, said in (
        ({"a": 3.1}, "a is 3.1; it must be in 0.5 .. 3.0"),
        ({"b": 30}, "b is 30; it must be in 20, 50"),
    ):
        with pytest.raises(InputUnusable, match=f"x.sql: parameter {said}"):
            values_of(header.params, given_values, "x.sql")


def test_a_view_has_no_parameters():
    with pytest.raises(InputUnusable, match="a view can't have parameters"):
        complete(parse_header(WHOLE, "x.sql"), "x.sql")


def test_a_view_is_not_built_apart():
    said = "-- grain: a\n-- key: a\n-- lookback: 0 days\n-- materialized: view\n-- apart: instrument\nselect 1 as a"
    with pytest.raises(InputUnusable, match="a view is not built"):
        complete(parse_header(said, "x.sql"), "x.sql")


PARAMS = parse_header(WHOLE, "x.sql").params


def test_given_values_replace_defaults_and_may_come_as_text():
    assert values_of(PARAMS, {"stop_atr": "3", "loud": "False"}, "x.sql") == {
        "stop_atr": 3.0,
        "bars": 3,
        "loud": False,
        "venue": "kraken",
    }


@pytest.mark.parametrize(
    ("given_values", "said"),
    [
        ({"speed": 1}, "declares no parameter speed; it declares stop_atr, bars, loud, venue"),
        ({"stop_atr": "wide"}, "parameter stop_atr must be a finite number, not 'wide'"),
        ({"stop_atr": float("inf")}, "finite"),
        ({"stop_atr": True}, "finite"),
        ({"bars": 2.5}, "whole number"),
        ({"bars": -1}, "not negative"),
        ({"bars": True}, "whole number"),
        ({"loud": 1}, "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused(given_values, said):
    with pytest.raises(InputUnusable, match=said):
        values_of(PARAMS, given_values, "x.sql")


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as made:
        yield made


@given(
    values=st.fixed_dictionaries(
        {
            "a": st.floats(allow_nan=False, allow_infinity=False),
            "b": st.integers(0, 10**9 - 1),
            "c": st.booleans(),
            "d": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        }
    )
)
def test_sql_reads_exactly_the_value_that_was_set(connection, values):
    with parameters_set(connection, values):
        row = connection.execute("select " + ", ".join(f"getvariable('{name}')" for name in values)).fetchone()
    assert row == tuple(values.values())


def test_a_value_is_gone_after_the_block_even_when_it_fails(connection):
    with pytest.raises(duckdb.Error), parameters_set(connection, {"a": 1.0}):
        connection.execute("select nonsense")
    assert connection.execute("select getvariable('a')").fetchone() == (None,)
