"""Replies into values: exact decimals, the forming candle, errors that name the field."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kraken import parse
from exchange.kraken.failures import RateLimited, RequestRefused, UnreadableReply, judge
from trading.errors import ExchangeUnavailable, SlipwayError

# Recorded from the venue by others, September 2026, and shortened.
OHLC = """{"error":[],"result":{"BTC/USD":[
    [1790355600,"83732.7","83969.8","83612.9","83765.4","83766.9","81.13696690",5879],
    [1790359200,"83765.3","84050.3","83765.3","84030.6","83921.9","53.72114923",2375]],"last":1790355600}}"""
TRADES = """{"error":[],"result":{"BTC/USD":[
    ["83928.00000","0.00044682",1790359841.1382287,"b","m","",109118759],
    ["83935.40000","0.00551352",1790359841.1382287,"b","m","",109118760]],"last":"1790359841138228746"}}"""
RATES = """{"result":"success","rates":[{"timestamp":"2025-09-24T08:00:00Z","fundingRate":1.3285114808978307,
    "relativeFundingRate":1.1795815277778e-05}]}"""


def test_the_last_row_of_candles_is_forming_and_the_others_are_closed() -> None:
    candles = parse.candles(parse.exact_json(OHLC), "BTC/USD")
    assert [candle.opened_s for candle in candles.closed] == [1790355600]
    assert candles.forming is not None
    assert candles.forming.opened_s == 1790359200


def test_a_single_row_is_forming() -> None:
    candles = parse.candles({"result": {"XXBTZUSD": [[60, "1", "1", "1", "1", "1", "1", 1]], "last": 0}}, "BTC/USD")
    assert (candles.closed, candles.forming is not None) == ((), True)


def test_a_row_that_the_venue_has_not_committed_is_not_taken_as_closed() -> None:
    with pytest.raises(UnreadableReply, match="last is before the closed candle"):
        parse.candles(parse.exact_json(OHLC.replace('"last":1790355600', '"last":1790352000')), "BTC/USD")


def test_every_digit_of_a_trade_survives() -> None:
    page = parse.trade_page(parse.exact_json(TRADES), "BTC/USD")
    assert str(page.trades[0].price) == "83928.00000"
    assert str(page.trades[0].traded_s) == "1790359841.1382287"
    assert page.last_ns == 1790359841138228746


def test_every_digit_of_a_json_number_survives() -> None:
    (rate,) = parse.funding_rates(parse.exact_json(RATES))
    assert rate.funding_rate == Decimal("1.3285114808978307")
    assert rate.relative_funding_rate == Decimal("0.000011795815277778")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=12))
def test_any_number_is_read_as_it_was_written(number: Decimal) -> None:
    rates = parse.funding_rates(parse.exact_json(RATES.replace("1.3285114808978307", f"{number:f}")))
    assert rates[0].funding_rate.as_tuple() == number.as_tuple()


@pytest.mark.parametrize(
    ("written", "instead", "field"),
    [
        ('"83928.00000"', '"NaN"', "BTC/USD.0.price"),
        ('"83928.00000"', '"1_000"', "BTC/USD.0.price"),
        ('"0.00551352"', "null", "BTC/USD.1.volume"),
        ('"b","m"', '"x","m"', "BTC/USD.0.side"),
        (",109118760", "", "BTC/USD.1.trade_id"),
        ('"last":"1790359841138228746"', '"last":"soon"', "last"),
        (',"last":"1790359841138228746"', "", "last"),
        ('"BTC/USD"', '"ETH/USD"', "result"),
        ('"result"', '"results"', "result"),
    ],
)
def test_what_does_not_fit_is_named_and_kept(written: str, instead: str, field: str) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse.trade_page(parse.exact_json(TRADES.replace(written, instead)), "BTC/USD")
    assert caught.value.field == field
    assert field in str(caught.value)
    assert caught.value.message


def test_a_float_is_never_taken_for_an_exact_number() -> None:
    with pytest.raises(UnreadableReply, match="is no exact number but float"):
        parse.funding_rates({"rates": [{"timestamp": "2025-09-24T08:00:00Z", "fundingRate": 1.5}]})


@pytest.mark.parametrize("read", [parse.instruments, parse.tickers, parse.funding_rates, parse.chart_page])
def test_a_missing_list_is_not_an_empty_one(read) -> None:
    with pytest.raises(UnreadableReply, match="is missing"):
        read({"result": "success"})


def test_fields_that_the_venue_adds_are_let_through() -> None:
    (rate,) = parse.funding_rates(parse.exact_json(RATES.replace('"fundingRate"', '"new":{},"fundingRate"')))
    assert rate.funding_rate > 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, '{"error":["EService:Unavailable"]}', ExchangeUnavailable),
        (200, '{"error":["EService:Busy"]}', ExchangeUnavailable),
        (200, '{"error":["EGeneral:Internal error"]}', ExchangeUnavailable),
        (200, '{"error":["EAPI:Rate limit exceeded"]}', RateLimited),
        (200, '{"error":["EGeneral:Too many requests"]}', RateLimited),
        (200, '{"error":["EGeneral:Temporary lockout"]}', RateLimited),
        (200, '{"result":"error","error":"apiLimitExceeded"}', RateLimited),
        (200, '{"result":"error","error":"Unavailable"}', ExchangeUnavailable),
        (200, '{"result":"error","error":"invalidArgument: symbol"}', RequestRefused),
        (200, '{"error":["EQuery:Unknown asset pair"]}', RequestRefused),
        (400, '{"result":"error","errors":[{"code":11,"message":"Argument invalid: symbol"}]}', RequestRefused),
        (400, "Invalid resolution", RequestRefused),
        (404, "<html>", RequestRefused),
        (429, "", RateLimited),
        (502, "<html>", ExchangeUnavailable),
        (520, "", ExchangeUnavailable),
        (200, "<html>maintenance</html>", ExchangeUnavailable),
        (200, "", ExchangeUnavailable),
        (200, '{"error":[', UnreadableReply),
        (200, "NaN", UnreadableReply),
    ],
)
def test_every_failure_has_its_class(status: int, body: str, error: type[SlipwayError]) -> None:
    with pytest.raises(SlipwayError) as caught:
        judge("GET /x", status, body, parse.exact_json(body))
    assert type(caught.value) is error


@pytest.mark.parametrize("body", ['{"error":[],"result":{}}', '{"error":["WGeneral:Danger"],"result":{}}', "[]"])
def test_an_answer_or_a_warning_is_no_failure(body: str) -> None:
    judge("GET /x", 200, body, parse.exact_json(body))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["result", "error", "last", "BTC/USD", "candles", "rates"]), inner, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_no_reply_raises_anything_but_our_errors(reply) -> None:
    readers = (
        parse.system_status, parse.server_time, parse.asset_pairs, parse.instruments, parse.tickers,
        parse.funding_rates, parse.chart_page, lambda it: parse.candles(it, "BTC/USD"),
        lambda it: parse.trade_page(it, "BTC/USD"),
    )  # fmt: skip
    for read in readers:
        try:
            read(reply)
        except UnreadableReply as error:
            assert error.field  # noqa: PT017  # most replies are unreadable, some are not
