"""The data in the page gives back what went in."""

import json
import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import columns, embedded
from reports.model import CANDLE_SCHEMA

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decoded(column):
    """What `decode` in page/columns.js does; JavaScript's numbers are Python's floats."""
    if "values" in column:
        return column["values"]
    total, values = 0, []
    for step in column["steps"]:
        total += step or 0
        values.append(None if step is None else float(total * column["unit"]) / column["scale"])
    return values


def seconds(moments: pl.Series) -> list[float]:
    return [(moment - EPOCH) // MICROSECOND / 1e6 for moment in moments]


def test_candles_come_back_exactly(make_view):
    view = make_view()
    markets = json.loads(embedded.page_data(view))["instruments"]
    for market, (name, frame) in zip(markets, view.candles.items(), strict=True):
        assert market["name"] == name
        assert decoded(market["columns"]["time"]) == seconds(frame["opened_at"])
        for column in ("open", "high", "low", "close"):
            assert decoded(market["columns"][column]) == frame[column].to_list()
        assert decoded(market["columns"]["volume"]) == pytest.approx(frame["volume"].to_list(), abs=1e-4)


def test_trades_come_back_exactly_with_what_they_lack(make_view):
    view = make_view()
    trades = json.loads(embedded.page_data(view))["trades"]
    assert trades.keys() == set(view.trades.columns)
    for name, column in trades.items():
        wanted = seconds(view.trades[name]) if name.endswith("_at") else view.trades[name].to_list()
        assert decoded(column) == wanted, name
    assert decoded(trades["stop_price"])[0] is None


def test_zones_come_back_exactly_and_an_open_one_has_no_end(make_view, make_zones):
    given_zones = make_zones((1,), (1, 3), (5,))
    zones = json.loads(embedded.page_data(make_view(zones=given_zones)))["zones"]
    assert zones.keys() == set(given_zones.columns)
    for name in ("instrument", "kind", "side", "bottom", "top", "trades"):
        assert decoded(zones[name]) == given_zones[name].to_list(), name
    for name in ("born_at", "known_at"):
        assert decoded(zones[name]) == seconds(given_zones[name])
    assert decoded(zones["ended_at"]) == [*seconds(given_zones["ended_at"].drop_nulls()), None]


def test_a_run_without_zones_embeds_a_few_empty_columns(make_view):
    text = embedded.page_data(make_view())
    zones = json.loads(text)["zones"]
    assert {len(decoded(column)) for column in zones.values()} == {0}
    assert len(json.dumps(zones)) < 500


def test_lines_are_rounded_to_one_place_more_than_the_price_and_null_in_warm_up(make_view):
    view = make_view(instruments=("BTC/USD",))
    line = decoded(json.loads(embedded.page_data(view))["instruments"][0]["columns"]["ema_20"])
    frame = view.candles["BTC/USD"]
    assert line[:19] == [None] * 19
    assert line[19:] == frame["ema_20"].round(3).to_list()[19:]


def test_not_a_number_becomes_null_never_a_word_json_lacks(make_view):
    holed = make_view(instruments=("BTC/USD",)).candles["BTC/USD"].with_columns(ema_20=pl.lit(math.nan))
    view = make_view(instruments=("BTC/USD",), candles={"BTC/USD": holed})
    text = embedded.page_data(view)
    assert "NaN" not in text
    assert set(decoded(json.loads(text)["instruments"][0]["columns"]["ema_20"])) == {None}


def test_nothing_in_a_name_can_end_the_script_element(make_view):
    view = make_view(instruments=("</script><script>alert(1)//", "<!-- & -->"))
    text = embedded.page_data(view)
    assert not {"<", ">", "&"} & set(text)
    assert [market["name"] for market in json.loads(text)["instruments"]] == list(view.candles)


decimals = st.builds(lambda whole, places: whole / 10**places, st.integers(-(10**12), 10**12), st.integers(0, 10))


@given(st.lists(st.one_of(st.none(), decimals, st.floats(allow_nan=False, allow_infinity=False)), max_size=20))
def test_any_numbers_come_back_exactly(values):
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    column = json.loads(json.dumps(columns.numbers(frame["x"]), allow_nan=False))
    assert decoded(column) == values


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), max_size=20))
def test_any_moments_come_back_to_the_microsecond(moments):
    series = pl.Series(moments, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    assert decoded(columns.moments(series)) == seconds(series)


@pytest.mark.parametrize(("price", "places"), [(23_000.0, 0), (0.1, 1), (1_234.56, 2), (0.0000012345, 10)])
def test_prices_show_the_digits_they_have(price, places):
    row = [datetime(2023, 1, 1, tzinfo=UTC), price, price, price, price, 1.0]
    frame = pl.DataFrame([[value] for value in row], schema=CANDLE_SCHEMA)
    assert embedded.price_places(frame) == places


def test_too_many_candles_are_merged_into_larger_ones_and_say_so(make_view, monkeypatch):
    monkeypatch.setattr(embedded, "MOST_CANDLES", 20)
    view = make_view(instruments=("BTC/USD",))
    market = json.loads(embedded.page_data(view))["instruments"][0]
    frame, drawn = view.candles["BTC/USD"], market["columns"]
    assert (market["merged"], market["candle_s"]) == (3, 3 * 3600)
    assert len(decoded(drawn["time"])) <= 21
    assert max(decoded(drawn["high"])) == frame["high"].max()
    assert min(decoded(drawn["low"])) == frame["low"].min()
    assert decoded(drawn["open"])[0] == frame["open"][0]
    assert decoded(drawn["close"])[-1] == frame["close"][-1]
    assert sum(decoded(drawn["volume"])) == pytest.approx(frame["volume"].sum(), abs=0.01)
