"""Perpetuals: they follow spot, and their mark, funding and charts fit together."""

from itertools import pairwise

import numpy as np
import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.market.basis import HIGHEST_FUNDING, Basis
from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.generator import generated
from exchange.sandbox.market.market import Market
from exchange.sandbox.units import DAY_NS, HOUR_NS, MINUTE_NS

SPAN_NS = 15 * MINUTE_NS
FIRST_NS = 1_700_006_400_000_000_000
PAIRS, CONTRACTS = listed(["BTC/USD", "ETH/USD", "SOL/USD", "AVAX/USD", "DOGE/USD"])
FED = list(generated("crash", PAIRS, seed=3, opened_ns=FIRST_NS, span_ns=SPAN_NS, candles=200))
ENDS_NS = FED[-1].opened_ns + SPAN_NS
PF_BTC = "PF_XBTUSD"


def market(starts_ns: int) -> Market:
    return Market(FED, pairs=PAIRS, contracts=CONTRACTS, seed=5, starts_ns=starts_ns)


NOW = market(ENDS_NS)
SILENT = Market(
    generated("gap", PAIRS, seed=3, opened_ns=FIRST_NS, span_ns=SPAN_NS, candles=200),
    pairs=PAIRS,
    contracts=CONTRACTS,
    seed=5,
    starts_ns=ENDS_NS + 100 * MINUTE_NS,  # after its last candle
)


def test_a_perpetual_trades_near_its_index_and_less_often() -> None:
    contracts = {contract.instrument: contract for contract in CONTRACTS}
    for instant in market(FIRST_NS + SPAN_NS).advance(ENDS_NS):
        for moment in instant.moments:
            contract, pair = contracts[moment.instrument], NOW.pairs[moment.instrument]
            futures_usd = moment.futures.price[-1] / 10**contract.price_decimals
            spot_usd = moment.spot.price[-1] / 10**pair.price_decimals
            assert abs(futures_usd - spot_usd) < 0.001 * spot_usd + 10**-contract.price_decimals
            assert 0 < len(moment.futures) <= len(moment.spot)
            assert moment.futures.volume.min() >= 1


def test_a_perpetual_follows_at_the_instant_of_its_pair() -> None:
    for instant in market(FIRST_NS + SPAN_NS).advance(FIRST_NS + 3 * HOUR_NS):
        for moment in instant.moments:
            assert moment.spot.time_ns[-1] == moment.futures.time_ns[-1] == moment.at_ns == instant.at_ns
            assert moment.spot.is_buy[-1] == moment.futures.is_buy[-1]


def test_funding_is_known_and_constant_during_its_hour() -> None:
    moving = market(FIRST_NS + 2 * HOUR_NS)
    rates = {rate.at_ns: rate for rate in NOW.funding_rates(PF_BTC)}
    for instant in moving.advance(FIRST_NS + 6 * HOUR_NS):
        quote, rate = moving.futures_quote(PF_BTC), rates[instant.at_ns // HOUR_NS * HOUR_NS]
        assert (quote.funding_rate, quote.relative_funding_rate) == (rate.absolute, rate.relative)
        assert quote.next_funding_ns == rate.at_ns + HOUR_NS


def test_the_prediction_ends_as_the_rate_of_the_next_hour() -> None:
    moving = market(FIRST_NS + 9 * HOUR_NS - MINUTE_NS)
    predicted = moving.futures_quote(PF_BTC).relative_funding_rate_prediction
    for _ in moving.advance(FIRST_NS + 9 * HOUR_NS):
        pass
    assert moving.futures_quote(PF_BTC).relative_funding_rate == pytest.approx(predicted, rel=1e-9)


def test_absolute_funding_is_the_relative_one_times_the_index_when_it_was_set() -> None:
    (bars, _) = NOW.index_bars(PF_BTC, 60, 0, ENDS_NS, 2000, newest=False)
    closes = {bar.opened_ns + HOUR_NS: bar.close for bar in bars}
    rates = NOW.funding_rates(PF_BTC)
    assert len(rates) == (ENDS_NS - FIRST_NS) // HOUR_NS
    assert all(one.at_ns + HOUR_NS == other.at_ns for one, other in pairwise(rates))
    for rate in rates[1:]:
        assert rate.absolute == pytest.approx(rate.relative * closes[rate.at_ns], rel=1e-12)
        assert abs(rate.relative) <= HIGHEST_FUNDING


@pytest.mark.parametrize("span_ns", [MINUTE_NS, 4 * HOUR_NS, DAY_NS])
def test_funding_reaches_back_to_the_first_candle_of_any_span(span_ns: int) -> None:
    opened_ns = FIRST_NS // DAY_NS * DAY_NS
    fed = list(generated("range", PAIRS[:1], seed=3, opened_ns=opened_ns, span_ns=span_ns, candles=400))
    ends_ns = opened_ns + 400 * span_ns
    now = Market(fed, pairs=PAIRS[:1], contracts=CONTRACTS[:1], seed=5, starts_ns=ends_ns)
    rates = now.funding_rates(PF_BTC)
    assert len(rates) == min(400 * span_ns // HOUR_NS, 365 * 24 + 1)
    assert rates[-1].at_ns == ends_ns // HOUR_NS * HOUR_NS


def test_the_mark_moves_with_the_index_and_stays_near_it() -> None:
    for minutes in (1, 15, 60, 1440):
        index, _ = NOW.index_bars(PF_BTC, minutes, 0, ENDS_NS, 2000, newest=True)
        mark, _ = NOW.mark_bars(PF_BTC, minutes, 0, ENDS_NS, 2000, newest=True)
        assert [bar.opened_ns for bar in index] == [bar.opened_ns for bar in mark]
        for one, other in zip(index, mark, strict=True):
            assert other[1:] == pytest.approx(one[1:], rel=1e-3)
            assert other.low <= min(other.open, other.close) <= max(other.open, other.close) <= other.high
    quote = NOW.futures_quote(PF_BTC)
    assert quote.index_usd == index[-1].close
    assert quote.mark_usd == pytest.approx(quote.index_usd, rel=1e-3)


@pytest.mark.parametrize("minutes", [1, 15, 60, 1440])
def test_mark_and_index_have_a_candle_for_every_interval_also_when_nothing_trades(minutes: int) -> None:
    span_ns = minutes * MINUTE_NS
    for bars, _ in (
        SILENT.mark_bars(PF_BTC, minutes, 0, SILENT.now_ns, 10**6, newest=True),
        SILENT.index_bars(PF_BTC, minutes, 0, SILENT.now_ns, 10**6, newest=True),
    ):
        opened = [bar.opened_ns for bar in bars]
        assert opened == list(range(opened[0], SILENT.now_ns + 1, span_ns))
        assert all(one.close == other.open for one, other in pairwise(bars))
        assert all(bar.low <= min(bar[1::3]) <= max(bar[1::3]) <= bar.high for bar in bars)
    traded, _ = SILENT.futures_bars(PF_BTC, minutes, 0, SILENT.now_ns, 10**6, newest=True)
    assert len(traded) < len(bars) or minutes == 1440


def test_candles_of_the_mark_add_up_to_longer_ones() -> None:
    short, _ = SILENT.mark_bars(PF_BTC, 1, 0, SILENT.now_ns, 10**6, newest=True)
    for bar in SILENT.mark_bars(PF_BTC, 60, 0, SILENT.now_ns, 10**6, newest=True)[0]:
        parts = [part for part in short if bar.opened_ns <= part.opened_ns < bar.opened_ns + HOUR_NS]
        assert bar[1:] == (
            parts[0].open,
            max(part.high for part in parts),
            min(part.low for part in parts),
            parts[-1].close,
        )


def test_the_ticker_and_the_running_candle_state_one_mark() -> None:
    quote = SILENT.futures_quote(PF_BTC)
    assert SILENT.mark_bars(PF_BTC, 15, 0, SILENT.now_ns, 1, newest=True)[0][0].close == quote.mark_usd
    assert SILENT.index_bars(PF_BTC, 15, 0, SILENT.now_ns, 1, newest=True)[0][0].close == quote.index_usd


@given(
    st.sampled_from([1, 15, 240]),
    st.integers(FIRST_NS - DAY_NS, ENDS_NS + DAY_NS),
    st.integers(0, 2 * DAY_NS),
    st.integers(1, 50),
)
@examples(40)
def test_charts_of_the_mark_page_from_either_end(minutes: int, from_ns: int, length_ns: int, limit: int) -> None:
    to_ns = from_ns + length_ns
    every, _ = SILENT.mark_bars(PF_BTC, minutes, 0, SILENT.now_ns, 10**6, newest=False)
    asked = [bar for bar in every if from_ns <= bar.opened_ns <= to_ns]
    oldest, more_after = SILENT.mark_bars(PF_BTC, minutes, from_ns, to_ns, limit, newest=False)
    newest, more_before = SILENT.mark_bars(PF_BTC, minutes, from_ns, to_ns, limit, newest=True)
    assert (oldest, newest) == (asked[:limit], asked[-limit:])
    assert more_after == more_before == (len(asked) > limit)


def test_the_mark_of_a_trade_is_the_one_after_its_moment() -> None:
    moving = market(ENDS_NS - HOUR_NS)
    for instant in moving.advance(ENDS_NS):
        for moment in instant.moments:
            if moment.instrument == "BTC/USD":
                marks = moving.marks_at(PF_BTC, moment.futures.time_ns).tolist()
                assert set(marks) == {moving.futures_quote(PF_BTC).mark_usd}


@given(
    st.sampled_from([1, 15, 240]),
    st.integers(FIRST_NS - DAY_NS, ENDS_NS),
    st.integers(0, 2 * DAY_NS),
    st.integers(1, 50),
)
@examples(40)
def test_charts_page_from_either_end(minutes: int, from_ns: int, length_ns: int, limit: int) -> None:
    to_ns = from_ns + length_ns
    every, _ = NOW.futures_bars(PF_BTC, minutes, 0, ENDS_NS, 10**6, newest=False)
    asked = [bar for bar in every if from_ns <= bar.opened_ns <= to_ns]
    oldest, more_after = NOW.futures_bars(PF_BTC, minutes, from_ns, to_ns, limit, newest=False)
    newest, more_before = NOW.futures_bars(PF_BTC, minutes, from_ns, to_ns, limit, newest=True)
    assert (oldest, newest) == (asked[:limit], asked[-limit:])
    assert more_after == more_before == (len(asked) > limit)


@given(st.integers(0, 2**63), st.integers(0, 4 * 10**18))
@examples(50)
def test_one_time_alone_equals_the_same_time_among_many(key: int, at_ns: int) -> None:
    basis = Basis(key)
    assert basis.smoothed_at(at_ns) == basis.smoothed(np.array([0, at_ns]))[1]
    assert basis.premium_at(at_ns) == basis.premium(np.array([0, at_ns]))[1]


def test_a_prediction_does_not_hang_on_when_it_was_asked_before() -> None:
    often = Basis(7)
    for at_ns in range(FIRST_NS, FIRST_NS + 3 * HOUR_NS, 7 * MINUTE_NS + 1):
        assert often.predicted_funding(at_ns) == Basis(7).predicted_funding(at_ns)


def test_rates_do_not_hang_on_what_was_asked_before() -> None:
    fresh, used = Basis(9), Basis(9)
    for first, last in ((100, 200), (150, 160), (201, 202), (90, 110), (199, 300), (500, 500), (501, 501)):
        assert np.array_equal(used.relative_funding(first, last), Basis(9).relative_funding(first, last))
    assert np.array_equal(used.relative_funding(50, 60), fresh.relative_funding(50, 60))


def test_open_interest_stays_around_its_mean() -> None:
    shares = [Basis(4).open_interest_share(FIRST_NS + hour * HOUR_NS) for hour in range(500)]
    assert 0.79 < min(shares) < 1 < max(shares) < 1.21
