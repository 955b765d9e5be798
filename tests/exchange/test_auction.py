"""More candidates at one close than there is room for: the best come first, and who lost to whom is said."""

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st
from test_simulator import BAR_US, QUIET, RULES, SHORT, START, candle, close_of, signal, simulator

from exchange.rows import NOBODY, Signal
from trading.model import DAY_US, PPM, Decision, EventKind, Rules

ONE = RULES._replace(max_positions=1)
TWO = RULES._replace(max_positions=2)


def proposed(*scores: int, **others: int) -> list[Signal]:
    """A signal of each instrument, with these scores."""
    return [signal(instrument=k, **others)._replace(score=score) for k, score in enumerate(scores)]


def answered(signals: list[Signal], rules: Rules = ONE) -> list[tuple[int, str, int]]:
    """Instrument, decision and who it lost to, in the order in which they were decided."""
    market = simulator(instruments=4, rules=rules)
    moment = market.advance([candle(0, *QUIET, instrument=k) for k in range(4)], signals)
    return [(one.instrument, Decision(one.decision).name, one.lost_to) for one in moment.decisions]


AUCTIONS = {
    "the highest score has the place": (
        ONE, proposed(1, 3, 2), [(1, "ENTERED", NOBODY), (2, "MAX_POSITIONS", 1), (0, "MAX_POSITIONS", 1)],
    ),
    "of equals the first instrument": (ONE, proposed(5, 5), [(0, "ENTERED", NOBODY), (1, "MAX_POSITIONS", 0)]),
    "two places are of the two best; who is third lost to the second": (
        TWO, proposed(1, 3, 2), [(1, "ENTERED", NOBODY), (2, "ENTERED", NOBODY), (0, "MAX_POSITIONS", 2)],
    ),
    "who could not trade anyway lost to nobody": (
        ONE, [*proposed(2), *proposed(0, 1, stop=0)[1:]], [(0, "ENTERED", NOBODY), (1, "MAX_POSITIONS", NOBODY)],
    ),
    "a candidate that is refused takes no room": (
        ONE, [proposed(9, stop=0)[0], *proposed(0, 1)[1:]], [(0, "NO_STOP", NOBODY), (1, "ENTERED", NOBODY)],
    ),
    "a bucket that the best has filled": (
        TWO._replace(max_bucket_positions=1, bucket_unit=1), proposed(1, 2),
        [(1, "ENTERED", NOBODY), (0, "CORRELATION", 1)],
    ),
    "leverage that the best has used up": (
        TWO._replace(max_leverage_ppm=3 * PPM // 2), proposed(1, 2), [(1, "ENTERED", NOBODY), (0, "MARGIN", 1)],
    ),
    "a side that the best has filled": (
        TWO._replace(max_side_ppm=3 * PPM // 2), proposed(1, 2), [(1, "ENTERED", NOBODY), (0, "EXPOSURE", 1)],
    ),
    "a second signal of an instrument comes after its better one": (
        ONE, [signal(), signal(SHORT)._replace(signal_at=close_of(0) - BAR_US, score=1)],
        [(0, "ENTERED", NOBODY), (0, "IN_POSITION", NOBODY)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "signals", "answers"), AUCTIONS.values(), ids=AUCTIONS.keys())
def test_candidates_are_decided_by_rank(rules, signals, answers):
    assert answered(signals, rules) == answers
    assert answered(signals[::-1], rules) == answers


def test_who_finds_the_room_taken_since_before_lost_to_nobody():
    market = simulator(instruments=2, rules=ONE)
    both = [candle(0, *QUIET), candle(0, *QUIET, instrument=1)]
    market.advance(both, [signal()])
    (verdict,) = market.advance([candle(1, *QUIET)], [signal(bar=1, instrument=1)]).decisions
    assert (verdict.decision, verdict.lost_to) == (Decision.MAX_POSITIONS, NOBODY)


def test_at_midnight_the_loss_of_yesterday_is_nobodys_reason():
    """The day turns with the first signal after the close: who comes later is judged by the same day."""
    market = simulator(instruments=2, rules=ONE._replace(max_daily_loss_ppm=5_000))
    bars = DAY_US // BAR_US
    quiet = [candle(bars - 3, *QUIET, instrument=k) for k in (0, 1)]
    market.advance(quiet, [signal(bar=bars - 3)])
    fallen = (10_000, 10_000, 9_890, 9_890)
    market.advance([candle(bars - 2, *fallen)])
    last = [candle(bars - 1, *fallen, instrument=k) for k in (0, 1)]
    signals = [signal(bar=bars - 1, instrument=k)._replace(score=k) for k in (0, 1)]
    answers = market.advance(last, signals).decisions
    assert close_of(bars - 1) % DAY_US == START % DAY_US == 0
    assert [(one.instrument, one.decision, one.lost_to) for one in answers] == [
        (1, Decision.ENTERED, NOBODY), (0, Decision.MAX_POSITIONS, 1),
    ]  # fmt: skip


@examples(60)
@given(
    scores=st.lists(st.integers(-2, 2), min_size=4, max_size=4),
    order=st.permutations(range(4)),
    places=st.integers(1, 4),
)
def test_the_order_of_the_input_changes_nothing(scores, order, places):
    signals, rules = proposed(*scores), RULES._replace(max_positions=places)
    answers = answered(signals, rules)
    assert answered([signals[k] for k in order], rules) == answers
    assert [k for k, decision, _ in answers if decision == "ENTERED"] == sorted(
        range(4), key=lambda k: (-scores[k], k)
    )[:places]


def test_the_journal_has_the_signals_in_the_order_in_which_they_were_decided():
    market = simulator(instruments=2, rules=ONE)
    both = [candle(0, *QUIET), candle(0, *QUIET, instrument=1)]
    taken = market.advance(both, proposed(1, 2)).taken
    assert [event.instrument for event, _ in taken if event.kind == EventKind.SIGNAL] == [1, 0]
