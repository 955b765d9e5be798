"""The last 24 hours."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.sandbox.market.chart import RollingDay
from exchange.sandbox.market.model import Bar, Day
from exchange.sandbox.units import DAY_NS, HOUR_NS

bars = st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(0, 9), st.integers(0, 9), st.integers(1, 5))


@given(st.lists(bars, min_size=1, max_size=60), st.integers(0, 40))
def test_it_equals_what_a_look_at_all_bars_gives(steps: list[tuple[int, int, int, int, int]], hours: int) -> None:
    day, every, now_ns = RollingDay(), [], 0
    for wait, low, up, over, volume in steps:
        now_ns += wait * HOUR_NS + 1
        bar = Bar(now_ns, low + up, low + up + over, low, low, volume, volume * low, 1)
        day.add(bar)
        every.append(bar)
        assert day.at(now_ns, 7) == by_hand(every, now_ns)
    assert day.at(now_ns + hours * HOUR_NS, 7) == by_hand(every, now_ns + hours * HOUR_NS)


def by_hand(every: list[Bar], now_ns: int) -> Day:
    inside = [bar for bar in every if bar.opened_ns > now_ns - DAY_NS]
    if not inside:
        return Day(7, 7, 7, 0, 0, 0)
    return Day(
        inside[0].open,
        max(bar.high for bar in inside),
        min(bar.low for bar in inside),
        sum(bar.volume for bar in inside),
        sum(bar.turnover for bar in inside),
        len(inside),
    )
