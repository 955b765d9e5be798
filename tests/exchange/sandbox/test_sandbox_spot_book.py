"""The book channel's arithmetic: what changed, and the checksum."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.market.model import Book, Level
from exchange.sandbox.spot.book import change_between, checksum

DEPTH = 5


def test_gives_the_checksum_of_the_venues_worked_example() -> None:
    bids = (
        (452835, 10000000), (452834, 154582015), (452821, 10000000), (452810, 10000000), (452803, 154592586),
        (452790, 7990000), (452776, 3310103), (452775, 30000000), (452773, 154602737), (452766, 15445238),
    )  # fmt: skip
    asks = (
        (452852, 100000), (452864, 154571953), (452866, 154571109), (452896, 154560911), (452902, 15890660),
        (452918, 154553491), (452947, 4454749), (452961, 35380000), (452975, 9945542), (452995, 18772827),
    )  # fmt: skip
    assert checksum(_book(bids, asks)) == 3310070434


def test_leaves_levels_below_the_tenth_out_of_the_checksum() -> None:
    levels = tuple((1000 + i, 5) for i in range(11))
    assert checksum(_book((), levels)) == checksum(_book((), levels[:10]))


def test_says_nothing_when_nothing_changed() -> None:
    book = _book(((9, 1),), ((10, 1),))
    assert change_between(book, book, DEPTH) == ((), ())


def test_does_not_remove_what_the_client_cuts_off_by_itself() -> None:
    before = _book((), tuple((10 + i, 1) for i in range(DEPTH)))
    after = _book((), ((9, 1), *((10 + i, 1) for i in range(DEPTH - 1))))
    assert change_between(before, after, DEPTH).asks == (Level(9, 1),)


def test_levels_of_an_update_come_in_no_order_that_a_client_could_rely_on() -> None:
    changed = [_book(_falling(10, size), _falling(20, size)[::-1]) for size in (1, 2)]
    for side in change_between(*changed, DEPTH):
        prices = [level.price for level in side]
        assert len(prices) == DEPTH
        assert sorted(prices) not in (prices, prices[::-1])


sides = st.dictionaries(st.integers(1, 20), st.integers(1, 3), max_size=DEPTH)


@given(before=sides, after=sides)
def test_turns_the_clients_book_into_the_venues(before: dict[int, int], after: dict[int, int]) -> None:
    old, new = _both_sides(before), _both_sides(after)
    change = change_between(old, new, DEPTH)
    assert _applied(old.bids, change.bids, sign=-1) == new.bids
    assert _applied(old.asks, change.asks, sign=1) == new.asks


def _applied(side: tuple[Level, ...], change: tuple[Level, ...], sign: int) -> tuple[Level, ...]:
    """What a client does with an update: set, remove at zero, sort, cut."""
    levels = dict(side) | dict(change)
    kept = [Level(price, quantity) for price, quantity in levels.items() if quantity]
    return tuple(sorted(kept, key=lambda level: sign * level.price)[:DEPTH])


def _falling(best: int, quantity: int) -> tuple[tuple[int, int], ...]:
    """Levels from the best price down."""
    return tuple((best - place, quantity) for place in range(DEPTH))


def _both_sides(levels: dict[int, int]) -> Book:
    return _book(sorted(levels.items(), reverse=True), sorted(levels.items()))


def _book(bids: object, asks: object) -> Book:
    return Book(0, tuple(Level(*pair) for pair in bids), tuple(Level(*pair) for pair in asks))  # type: ignore[attr-defined]
