"""The book's declared shape."""

from itertools import pairwise

from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.market.book import WIDEST_SPREAD, Touch, best_of, book_of
from exchange.sandbox.market.facts import listed
from exchange.sandbox.market.generator import generated
from exchange.sandbox.market.market import Market
from exchange.sandbox.units import DAY_NS, MINUTE_NS

AT_NS = 1_700_000_123_456_789_000
touches = st.builds(
    Touch, st.integers(1, 10**7), st.booleans(), st.integers(AT_NS, AT_NS + 10**15), st.floats(1.0, 1e18)
)
KEYS = st.integers(0, 2**64 - 1)


@given(KEYS, touches, st.integers(1, 200))
@examples(80)
def test_both_sides_run_away_from_the_last_price(key: int, touch: Touch, depth: int) -> None:
    book = book_of(key, touch, depth)
    assert len(book.asks) == depth
    assert all(one.price < other.price for one, other in pairwise(book.asks))
    assert all(one.price > other.price for one, other in pairwise(book.bids))
    assert all(level.quantity >= 1 and level.price >= 1 for level in (*book.bids, *book.asks))
    if book.bids:
        assert 1 <= book.asks[0].price - book.bids[0].price <= WIDEST_SPREAD
        assert touch.last == (book.asks[0] if touch.is_buy else book.bids[0]).price


@given(KEYS, touches, st.integers(1, 50))
@examples(80)
def test_the_ticker_shows_the_top_of_the_same_book(key: int, touch: Touch, depth: int) -> None:
    bid, ask = best_of(key, touch)
    book = book_of(key, touch, depth)
    assert ask == book.asks[0]
    assert (bid == book.bids[0]) if book.bids else (bid == (0, 0))


@given(KEYS, touches)
@examples(30)
def test_a_deeper_book_only_adds_levels(key: int, touch: Touch) -> None:
    deep, shallow = book_of(key, touch, 100), book_of(key, touch, 10)
    assert (deep.bids[:10], deep.asks[:10]) == (shallow.bids, shallow.asks)


def test_most_of_the_book_stays_from_one_moment_to_the_next() -> None:
    before = book_of(1, Touch(840_000, True, AT_NS, 1e12), 100)
    after = book_of(1, Touch(840_003, True, AT_NS + MINUTE_NS // 2, 1e12), 100)
    assert len(set(before.asks) & set(after.asks)) > 70


def test_most_of_a_markets_book_stays_when_its_price_moves() -> None:
    pairs, contracts = listed(["BTC/USD"])
    opened_ns = AT_NS // DAY_NS * DAY_NS
    fed = generated("range", pairs, seed=3, opened_ns=opened_ns, span_ns=15 * MINUTE_NS, candles=8)
    market = Market(fed, pairs=pairs, contracts=contracts, seed=5, starts_ns=opened_ns + 15 * MINUTE_NS)
    before, shared = market.spot_book("BTC/USD", 500), []
    for _ in market.advance(opened_ns + 60 * MINUTE_NS):
        after = market.spot_book("BTC/USD", 500)
        in_both = {level.price for level in before.asks} & {level.price for level in after.asks}
        if len(in_both) > 100:
            shared.append(len(set(before.asks) & set(after.asks)) / len(in_both))
        before = after
    assert len(shared) > 10
    assert min(shared) > 0.6  # after a minute a fifth of all quantities is another
