"""How the futures market spells quotes, trades, books and candles: pure functions from market to message."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.futures.contracts import Standing, base_units, instrument, padded_size, turnover_usd, usd
from exchange.sandbox.futures.streams import BookStream, CandleStream
from exchange.sandbox.futures.tickers import feed_ticker, feed_ticker_lite, rest_row
from exchange.sandbox.futures.trades import Trade, execution, feed_trade, history, uid
from exchange.sandbox.market.facts import CONTRACTS
from exchange.sandbox.market.model import Book, Day, FuturesQuote, Level

BTC = next(contract for contract in CONTRACTS if contract.symbol == "PF_XBTUSD")
DOGE = next(contract for contract in CONTRACTS if contract.symbol == "PF_DOGEUSD")
PEPE = DOGE._replace(symbol="PF_PEPEUSD", price_decimals=8, size_decimals=-3)

NOON_NS = 1_795_435_200_000_000_000  # 2026-11-23T12:00:00Z
OPEN = Standing(suspended=False, post_only=False)
HALTED = Standing(suspended=True, post_only=False)
QUOTE = FuturesQuote(
    symbol="PF_XBTUSD",
    bid=Level(90_001, 5_000),
    ask=Level(90_002, 3_100),
    last=90_001,
    last_size=12,
    last_ns=NOON_NS - 187_655_000,
    rolling=Day(89_500, 91_000, 89_000, 41_002_500, 3_690_000_001_000, 7_000),
    index_usd=90_000.11,
    mark_usd=90_003.41875634,
    funding_rate=0.91,
    funding_rate_prediction=1.02,
    relative_funding_rate=1.011e-05,
    relative_funding_rate_prediction=1.133e-05,
    next_funding_ns=NOON_NS + 3_600_000_000_000,
    open_interest=2150.5,
)
TRADE = Trade(NOON_NS, 90_000, 20, True, True, 501)


def test_rest_states_funding_in_usd_and_no_relative_rate():
    row = rest_row(BTC, QUOTE, OPEN)

    assert (row["fundingRate"], row["fundingRatePrediction"]) == (0.91, 1.02)
    assert not {"relativeFundingRate", "nextFundingRateTime"} & row.keys()


def test_rest_row_has_the_pair_in_xbt_and_the_last_time_in_microseconds():
    row = rest_row(BTC, QUOTE, OPEN)

    assert (row["pair"], row["lastTime"]) == ("XBT:USD", "2026-11-23T11:59:59.812345Z")
    assert (row["last"], row["vol24h"], row["change24h"]) == (90_001.0, 4100.25, 0.56)
    assert (row["volumeQuote"], row["vwap24h"]) == (369_000_000.1, 89_994.5)


def test_a_halted_contract_has_neither_last_nor_bid_nor_ask():
    row = rest_row(BTC, QUOTE, HALTED)

    assert row["suspended"] is True
    assert not {"last", "lastTime", "lastSize", "bid", "bidSize", "ask", "askSize"} & row.keys()


def test_instruments_spell_the_pair_in_btc():
    row = instrument(BTC, OPEN)

    assert (row["pair"], row["base"]) == ("BTC:USD", "BTC")
    assert orjson.dumps(row["tickSize"]) == b"1"
    assert instrument(DOGE, OPEN)["tickSize"] == 0.00001


def test_the_feed_states_absolute_and_relative_funding_and_the_next_full_hour():
    message = feed_ticker(BTC, QUOTE, OPEN, NOON_NS + 224_999_999)

    assert (message["funding_rate"], message["relative_funding_rate"]) == (0.91, 1.011e-05)
    assert (message["time"], message["next_funding_rate_time"]) == (1_795_435_200_224, 1_795_438_800_000)
    assert (message["leverage"], message["dtm"], message["maturityTime"]) == ("100x", 0, 0)


def test_the_feed_leaves_out_funding_rates_of_zero():
    message = feed_ticker(BTC, QUOTE._replace(funding_rate=0.0, relative_funding_rate=0.0), OPEN, NOON_NS)

    assert not {"funding_rate", "relative_funding_rate"} & message.keys()
    assert "funding_rate_prediction" in message


def test_the_lite_feed_has_no_time_and_no_funding():
    assert feed_ticker_lite(BTC, QUOTE).keys() == {
        *("feed", "product_id", "bid", "ask", "change", "premium", "volume", "tag", "pair", "dtm", "maturityTime"),
        "volumeQuote",
    }


def test_history_is_newest_first_and_counts_its_page():
    page = history(BTC, [TRADE, TRADE._replace(time_ns=NOON_NS + 1_000, number=502)])

    assert [row["time"] for row in page] == ["2026-11-23T12:00:00.000001Z", "2026-11-23T12:00:00.000000Z"]
    assert [row["trade_id"] for row in page] == [2, 1]
    assert page[0]["uid"] == uid(BTC, 502)


def test_a_trade_has_one_uid_wherever_it_is_told():
    told = execution(BTC, TRADE, 90_003.4)["event"]["Execution"]["execution"]
    assert told["uid"] == feed_trade(BTC, TRADE)["uid"] == history(BTC, [TRADE])[0]["uid"]


def test_executions_spell_prices_and_sizes_as_text_and_show_the_collar_of_a_market_order():
    told = execution(BTC, Trade(NOON_NS, 66_596, 20, True, True, 1), 90_003.4)["event"]["Execution"]["execution"]

    assert (told["price"], told["quantity"], told["markPrice"]) == ("66596", "0.0020", "90003.4")
    assert told["takerOrder"]["limitPrice"] == "67261"
    assert (told["makerOrder"]["direction"], told["takerOrder"]["direction"]) == ("Sell", "Buy")


@pytest.mark.parametrize(("contract", "lots", "number"), [(BTC, 12, 0.0012), (DOGE, 665, 665.0), (PEPE, 3, 3000.0)])
def test_sizes_count_in_steps_of_the_contract(contract, lots, number):
    assert base_units(lots, contract) == number


def test_steps_larger_than_one_unit_need_no_decimals():
    assert padded_size(3, PEPE, 8) == "3000.00000000"
    assert turnover_usd(1_234, PEPE) == pytest.approx(0.01234)


@given(st.integers(1, 10**9), st.integers(0, 8))
def test_a_price_prints_as_its_exact_decimal(points, decimals):
    written = orjson.dumps(usd(points, BTC._replace(price_decimals=decimals))).decode()

    mantissa, _, exponent = written.partition("e")
    whole, _, fraction = mantissa.partition(".")
    shift = decimals + int(exponent or 0) - len(fraction)
    assert int(whole + fraction) * 10 ** max(shift, 0) == points * 10 ** max(-shift, 0)


sides = st.dictionaries(st.integers(1, 30), st.integers(1, 9), max_size=12)
books = st.tuples(sides, sides, st.integers(31, 60)).map(
    lambda drawn: Book(
        NOON_NS,
        tuple(Level(drawn[2] - price, quantity) for price, quantity in sorted(drawn[0].items())),
        tuple(Level(drawn[2] + price, quantity) for price, quantity in sorted(drawn[1].items())),
    )
)


@given(st.lists(books, min_size=2, max_size=4))
def test_book_changes_lead_from_snapshot_to_snapshot_without_a_gap_and_never_crossed(path):
    stream = BookStream(BTC, path[0], 7_000)
    snapshot = stream.snapshot()
    held = {side: {row["price"]: row["qty"] for row in snapshot[name]} for side, name in SIDES.items()}
    seq = snapshot["seq"]

    for book in path[1:]:
        for change in stream.move(book):
            seq += 1
            assert change["seq"] == seq
            held[change["side"]][change["price"]] = change["qty"]
            held = {side: {price: size for price, size in rows.items() if size} for side, rows in held.items()}
            assert max(held["buy"], default=0) < min(held["sell"], default=10**9)

    final = stream.snapshot()
    assert final["seq"] == seq
    assert held == {side: {row["price"]: row["qty"] for row in final[name]} for side, name in SIDES.items()}
    assert [row["price"] for row in final["bids"]] == [float(level.price) for level in path[-1].bids]


SIDES = {"buy": "bids", "sell": "asks"}


def test_trades_across_a_minute_end_one_candle_and_begin_the_next():
    stream = CandleStream(BTC, "candles_trade_1m", 1, None)
    assert stream.snapshot() == []

    messages = stream.move(
        [Trade(NOON_NS + 1, 90_000, 20, True, True, 1), Trade(NOON_NS + 60_000_000_000, 90_010, 5, True, True, 2)]
    )

    assert [message["candle"]["time"] for message in messages] == [1_795_435_200_000, 1_795_435_260_000]
    assert messages[0]["candle"] == {
        "time": 1_795_435_200_000,
        "open": "90000",
        "high": "90000",
        "low": "90000",
        "close": "90000",
        "volume": "0.00200000",
    }
    assert stream.snapshot()[0]["candle"]["open"] == "90010"


def test_several_trades_of_one_moment_are_one_message():
    stream = CandleStream(BTC, "candles_trade_1h", 60, None)

    messages = stream.move([Trade(NOON_NS + at, 90_000 + at, 20, True, True, at) for at in range(1, 5)])

    assert len(messages) == 1
    assert messages[0]["candle"]["high"] == "90004"
    assert messages[0]["candle"]["volume"] == "0.00800000"
