"""Which markets there are, and whether to believe the venue about it. Pure: what it listed in, verdicts out.

A spot pair is traded on the perpetual that follows it: `BTC/USD` on `PF_XBTUSD`. Each gets a verdict with every reason
why it is out, not the first one only: whoever changes a threshold wants to see what that alone would bring.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

BPS = 10_000
NAMES_SHOWN = 5  # in a sentence; the lists are in the warehouse


class SpotPair(NamedTuple):
    """A spot market. `status` is the venue's word; only in `online` everything can be traded."""

    instrument: str  # `BTC/USD`
    status: str

    @property
    def quote(self) -> str:
        return self.instrument.partition("/")[2]


class Perpetual(NamedTuple):
    """A linear perpetual, and its market as it is now; None is what the venue did not say."""

    contract: str  # `PF_XBTUSD`
    instrument: str  # the spot pair that it follows
    is_tradeable: bool
    is_post_only: bool
    is_suspended: bool
    volume_24h_usd: Decimal | None
    bid: Decimal | None
    ask: Decimal | None


class Thresholds(NamedTuple):
    """What a market must be like. `include` are in whatever their volume and spread, `exclude` out in any case."""

    quotes: frozenset[str]
    min_volume_24h_usd: Decimal
    max_spread_bps: Decimal
    include: frozenset[str]
    exclude: frozenset[str]


class Candidate(NamedTuple):
    """A spot pair, the perpetual that it would be traded on, and why it is out; without reasons it is in."""

    instrument: str
    contract: str | None
    volume_24h_usd: Decimal | None
    spread_bps: Decimal | None
    reasons: tuple[str, ...]

    @property
    def is_member(self) -> bool:
        return not self.reasons


class Listed(NamedTuple):
    """The names that the venue listed at one time, and what the universe was then, by its spot pairs."""

    pairs: frozenset[str]
    contracts: frozenset[str]
    members: frozenset[str]


def judge(pairs: Iterable[SpotPair], perpetuals: Iterable[Perpetual], thresholds: Thresholds) -> tuple[Candidate, ...]:
    """A verdict on each spot pair in one of the quotes, and on each perpetual on such a pair, by name.

    Of several perpetuals on one pair that with the largest volume is taken, and of equal ones the first by name.
    """
    spot = {pair.instrument: pair for pair in pairs}
    futures: dict[str, Perpetual] = {}
    for perpetual in sorted(perpetuals, key=lambda each: (-(each.volume_24h_usd or 0), each.contract)):
        futures.setdefault(perpetual.instrument, perpetual)
    names = {name for name in spot.keys() | futures.keys() if name.partition("/")[2] in thresholds.quotes}
    return tuple(_candidate(name, spot.get(name), futures.get(name), thresholds) for name in sorted(names))


def doubts_about(
    seen: Listed,
    quoted: frozenset[str],
    known: Listed | None,
    held: Mapping[str, str],
    *,
    shrink_is_believed: bool = False,
) -> tuple[str, ...]:
    """Why the venue is not believed, in whole sentences; none of them, and it is.

    Args:
        seen: What it lists now.
        quoted: The contracts whose tickers it told.
        known: What it listed when it was believed last. None: it never was.
        held: By each market of an open position, in words, where that position is.
        shrink_is_believed: A person has looked, and more than half of a list, or of the universe, is really gone.
    """
    lists = (("spot pairs", seen.pairs), ("contracts", seen.contracts), ("tickers", quoted))
    found = [f"The venue's list of {what} is empty." for what, names in lists if not names]
    if known is not None and not shrink_is_believed:
        found += _shrinks(seen, known)
    silent = seen.contracts - quoted
    if quoted and _is_most(silent, seen.contracts):
        found.append(f"The tickers say nothing of more than half of the contracts: not of {_few(silent)}.")
    gone = sorted(held.keys() - seen.pairs - seen.contracts)
    found += [f"{name} is not listed, and there is an open position in it ({held[name]})." for name in gone]
    return tuple(found)


def spread_bps(bid: Decimal, ask: Decimal) -> Decimal:
    """Ask over bid, in hundredths of a percent of the price in their middle."""
    return (ask - bid) * 2 * BPS / (ask + bid)


def _candidate(name: str, pair: SpotPair | None, perpetual: Perpetual | None, thresholds: Thresholds) -> Candidate:
    quotes = _spread_of(perpetual) if perpetual else None
    reasons = [
        *(["excluded by the settings"] if name in thresholds.exclude else []),
        *(_spot_reasons(pair) if pair else ["no spot pair"]),
        *(_status_reasons(perpetual) if perpetual else ["no perpetual"]),
    ]
    if perpetual and name not in thresholds.include:
        reasons += _market_reasons(perpetual.volume_24h_usd, quotes, thresholds)
    return Candidate(
        name,
        perpetual.contract if perpetual else None,
        perpetual.volume_24h_usd if perpetual else None,
        quotes,
        tuple(reasons),
    )


def _spread_of(perpetual: Perpetual) -> Decimal | None:
    bid, ask = perpetual.bid, perpetual.ask
    return spread_bps(bid, ask) if bid is not None and ask is not None and 0 < bid <= ask else None


def _spot_reasons(pair: SpotPair) -> list[str]:
    return [] if pair.status == "online" else [f"spot is {pair.status}"]


def _status_reasons(perpetual: Perpetual) -> list[str]:
    said = {
        "not tradeable": not perpetual.is_tradeable,
        "suspended": perpetual.is_suspended,
        "post only": perpetual.is_post_only,
    }
    return [f"{perpetual.contract} is {state}" for state, holds in said.items() if holds]


def _market_reasons(volume_usd: Decimal | None, spread: Decimal | None, thresholds: Thresholds) -> list[str]:
    """What is not known is out: nobody could say that it is liquid."""
    reasons = []
    if volume_usd is None:
        reasons.append("volume unknown")
    elif volume_usd < thresholds.min_volume_24h_usd:
        reasons.append(f"volume below {thresholds.min_volume_24h_usd:,f} USD in 24 h")
    if spread is None:
        reasons.append("no bid and ask")
    elif spread > thresholds.max_spread_bps:
        reasons.append(f"spread above {thresholds.max_spread_bps:f} bps")
    return reasons


def _shrinks(seen: Listed, known: Listed) -> list[str]:
    """Counted by name: a list as long as before with other names in it is another market, not the same one.

    Lists that are whole and say that nothing can be traded any more are a hiccup too: tickers without prices, say.
    """
    pairs, contracts, members = (before - now for before, now in zip(known, seen, strict=True))
    found = []
    if seen.pairs and _is_most(pairs, known.pairs):
        found.append(f"{_share(pairs, known.pairs)} spot pairs are gone at once, more than half: {_few(pairs)}.")
    if seen.contracts and _is_most(contracts, known.contracts):
        found.append(
            f"{_share(contracts, known.contracts)} contracts are gone at once, more than half: {_few(contracts)}."
        )
    if seen.pairs and seen.contracts and not found and _is_most(members, known.members):
        found.append(f"{_share(members, known.members)} members of the universe are out at once: {_few(members)}.")
    return found


def _share(part: frozenset[str], whole: frozenset[str]) -> str:
    return f"{len(part):,} of {len(whole):,}"


def _is_most(part: frozenset[str], whole: frozenset[str]) -> bool:
    return 2 * len(part) > len(whole)


def _few(names: frozenset[str]) -> str:
    shown = sorted(names)[:NAMES_SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
