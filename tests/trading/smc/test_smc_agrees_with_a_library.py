"""The labels of a popular library, matched at the candle where they become known (I32).

Its labels are hindsight (`smc_eurusd/PROVENANCE.md`), so each is looked for at the first close at which it could have
been told. Where it judges as we do the share is 100 %; where it is less, `docs/smc.md` says why.
"""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from trading.smc.layout import Kind, Series
from trading.smc.parameters import Parameters
from trading.smc.state import open_zones

pytestmark = pytest.mark.xdist_group("heavy")  # it needs the machine code that those tests share
FOLDER = Path(__file__).parent / "smc_eurusd"
CANDLE_US = 900_000_000
# The library looks at 4 candles before a swing and at 5 after it, though it says 5 and 5.
PARAMETERS = Parameters(swing_before=4, swing_after=5)
TICK = 0.00001


@pytest.fixture(scope="module")
def candles():
    table = np.loadtxt(FOLDER / "candles.csv", delimiter=",", skiprows=1)
    return Series(table[:, 0].astype(np.int64) * 1_000_000, *table[:, 1:].T, np.zeros(len(table)))


@pytest.fixture(scope="module")
def result(folded, candles):
    return folded(candles, PARAMETERS, CANDLE_US)


@pytest.fixture(scope="module")
def zones(result):
    found = np.concatenate([result.ended, open_zones(result.state)])
    return {kind: found[found["kind"] == kind] for kind in Kind}


def labels(*concepts):
    with (FOLDER / "labels.csv").open() as file:
        return [
            (label["concept"], int(label["candle"]), int(label["side"]), float(label["price"]),
             float(label["other_price"] or "nan"), int(label["later_candle"] or 0))
            for label in csv.DictReader(file) if label["concept"] in concepts
        ]  # fmt: skip


def share(matches):
    matches = list(matches)
    return sum(matches) / len(matches)


def opened(candles, zone):
    return int(np.searchsorted(candles.opened_at, zone.born_at))


def closed(candles, close):
    """Number of the candle that closed then; 0: it has not happened."""
    return int(np.searchsorted(candles.opened_at, close - CANDLE_US)) if close else 0


def test_every_gap_is_known_at_the_close_of_its_third_candle(candles, zones):
    ours = {(opened(candles, z), z.side, z.top, z.bottom): closed(candles, z.known_at) for z in zones[Kind.GAP]}
    theirs = [(at, side, top, bottom) for _, at, side, top, bottom, _ in labels("gap") if at + 1 < len(candles.close)]
    assert share(ours.get(gap) == gap[0] + 1 for gap in theirs) == 1.0
    assert len(ours) == len(theirs) == 592


def test_every_gap_is_touched_when_the_library_calls_it_mitigated(candles, zones):
    """All but 2 of 592, which were the oldest of 16 and are forgotten before."""
    ours = {opened(candles, z): closed(candles, z.touched_at) for z in zones[Kind.GAP]}
    theirs = {at: later if later < len(candles.close) else 0 for _, at, _, _, _, later in labels("gap")}
    assert share(ours[at] == later for at, later in theirs.items()) >= 0.99


def test_swings_are_known_after_their_lag(candles, result):
    """99 %: of equal lows within a swing's reach the first is ours, and theirs are both."""
    known = {1: result.rows.swing_high, -1: result.rows.swing_low}
    theirs = [(at + 5, side, price) for _, at, side, price, _, _ in labels("swing") if at + 5 < len(candles.close)]
    assert share(known[side][at] == price for at, side, price in theirs) >= 0.99
    assert len(theirs) == 348


def test_a_swing_that_no_later_one_replaces_is_a_label(candles, result):
    """The library keeps, of highs without a low between them, the highest: we know that only when it has come."""
    ours = sorted(
        (at - 5, side)
        for name, side in (("swing_high", 1), ("swing_low", -1))
        for at in np.flatnonzero(~np.isnan(result.rows[name]))
    )
    lasting = [swing for swing, following in pairwise(ours) if swing[1] != following[1]]
    theirs = {(at, side) for _, at, side, _, _, _ in labels("swing")}
    assert share(swing in theirs for swing in lasting) >= 0.99


def test_breaks_are_at_the_same_close_of_the_same_level(candles, result):
    """92 %: where a later swing became known first, ours is the level to break and theirs is still the one before."""
    rows = result.rows
    theirs = [label for label in labels("bos", "choch") if label[5] < len(candles.close)]
    matches = [
        side in (rows.bos[later], rows.choch[later])
        and candles.opened_at[at] == rows.broken_swing_at[later]
        and abs(price - rows.broken_level[later]) < TICK
        for _, at, side, price, _, later in theirs
    ]
    assert share(matches) >= 0.90
    assert len(theirs) == 138


def test_order_blocks_that_the_library_keeps_are_ours(candles, zones):
    """Nearly all; the library keeps those only that were never reclaimed, however much later that was."""
    ours = {(opened(candles, z), z.side): (z.top, z.bottom) for z in zones[Kind.BLOCK]}
    matches = [
        np.allclose(ours.get((at, side), (0, 0)), (top, bottom), atol=TICK)
        for _, at, side, top, bottom, _ in labels("block")
    ]
    assert share(matches) >= 0.90


def test_the_previous_day_is_the_one_before(candles, result):
    """100 %, but for the first candle of a day, to which the library still tells the day before the one before."""
    theirs = labels("day")
    ours = [(result.rows.previous_day_high[at], result.rows.previous_day_low[at]) for _, at, *_ in theirs]
    midnight = [candles.opened_at[at] % 86_400_000_000 == 0 for _, at, *_ in theirs]
    assert not any(midnight)
    np.testing.assert_allclose(ours, [(high, low) for _, _, _, high, low, _ in theirs], atol=TICK)


def test_the_session_has_its_high_and_low(candles, result):
    """100 %, but for the candle that opens when the session ends, which to the library is still in it."""
    theirs = [label for label in labels("london") if candles.opened_at[label[1]] // 3_600_000_000 % 24 != 16]
    rows = result.rows[[at for _, at, *_ in theirs]]
    assert ((rows.session & 2) > 0).all()
    ours = np.column_stack([rows.london_high, rows.london_low])
    np.testing.assert_allclose(ours, [(high, low) for _, _, _, high, low, _ in theirs], atol=TICK)
