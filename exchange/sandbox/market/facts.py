"""Facts of the venue about each market it lists: precision, limits, margin levels, spellings.

Source: the venue's own AssetPairs and instruments replies, 2026, for the pair BTC/USD, for least volume and limits of
SOL/USD and DOGE/USD (of the latter the decimals of its cost too), for the contracts PF_XBTUSD (of its margin levels the
first three) and PF_DOGEUSD (the first two), and for tick and lot of PF_ETHUSD and PF_SOLUSD; of the largest position of
PF_ETHUSD too. Margin levels of PF_ETHUSD and PF_SOLUSD are those of the venue's published classes A and B. The rest was
written from memory: of the right kind and size, not checked against the venue. Tick sizes change over time: a client
has to read them, and these are what it reads here.
"""

from collections.abc import Iterable
from typing import NamedTuple

from trading.errors import InputUnusable


class SpotPair(NamedTuple):
    """One spot pair, as AssetPairs and the instrument channel state it."""

    instrument: str  # canonical, `BTC/USD`; the name on WebSocket v2 too
    key: str  # `XXBTZUSD`, key of the REST replies
    altname: str  # `XBTUSD`
    wsname: str  # `XBT/USD`, which WebSocket v2 refuses
    base: str  # `XXBT`
    quote: str  # `ZUSD`
    price_decimals: int
    cost_decimals: int
    volume_decimals: int
    minimum_volume: str
    minimum_cost: str
    leverage: tuple[int, ...]
    long_position_limit: int
    short_position_limit: int


class MarginLevel(NamedTuple):
    """From this position size in USD on, these shares of it."""

    from_usd: int
    initial: float
    maintenance: float


class Contract(NamedTuple):
    """One linear perpetual, as /instruments states it."""

    symbol: str  # `PF_XBTUSD`
    instrument: str  # the spot pair that its index follows, `BTC/USD`
    base: str  # `BTC`
    pair: str  # `XBT:USD`, as the ticker spells it
    price_decimals: int  # a tick is 10**-price_decimals USD
    size_decimals: int  # a lot is 10**-size_decimals of the base; may be negative
    maximum_position: float
    impact_mid_size: float
    opened_at: str
    margin_levels: tuple[MarginLevel, ...]
    isin: str  # empty: not known, and the venue's row is made without one
    category: str


def listed(instruments: Iterable[str]) -> tuple[tuple[SpotPair, ...], tuple[Contract, ...]]:
    """The pairs of these instruments (`BTC/USD`) and the perpetuals on them, in this order.

    Raises InputUnusable: an instrument is not known here.
    """
    known = {pair.instrument: pair for pair in PAIRS}
    names = tuple(instruments)
    strangers = [name for name in names if name not in known]
    if strangers:
        raise InputUnusable(f"No facts are known of {', '.join(strangers)}. Known are: {', '.join(known)}.")
    return (
        tuple(known[name] for name in names),
        tuple(contract for name in names for contract in CONTRACTS if contract.instrument == name),
    )


def _levels(*levels: tuple[int, float]) -> tuple[MarginLevel, ...]:
    """Levels by their begin in USD and initial margin in percent; maintenance is half of it."""
    return tuple(MarginLevel(from_usd, percent / 100, percent / 200) for from_usd, percent in levels)


TO_TEN, TO_THREE = tuple(range(2, 11)), (2, 3)

PAIRS = (
    SpotPair("BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD", "XXBT", "ZUSD", 1, 5, 8, "0.00005", "0.5", TO_TEN, 350, 250),
    SpotPair("ETH/USD", "XETHZUSD", "ETHUSD", "ETH/USD", "XETH", "ZUSD", 2, 5, 8, "0.001", "0.5", TO_TEN, 7000, 4500),
    SpotPair("SOL/USD", "SOLUSD", "SOLUSD", "SOL/USD", "SOL", "ZUSD", 2, 5, 8, "0.06", "0.5", TO_TEN, 37000, 24000),
    SpotPair(
        "AVAX/USD", "AVAXUSD", "AVAXUSD", "AVAX/USD", "AVAX", "ZUSD", 2, 5, 8, "0.1", "0.5", TO_THREE, 60000, 35000
    ),
    SpotPair(
        "DOGE/USD", "XDGUSD", "XDGUSD", "XDG/USD", "XXDG", "ZUSD", 7, 9, 8, "50", "0.5", TO_TEN, 30000000, 30000000
    ),
)

LEVELS_OF_BTC = _levels(
    (0, 1), (1_000_000, 2), (3_000_000, 4), (6_000_000, 5), (12_000_000, 10), (24_000_000, 20), (40_000_000, 30),
    (80_000_000, 50),
)  # fmt: skip
CLASS_A = _levels(
    (0, 2), (1_000_000, 4), (2_000_000, 5), (5_000_000, 10), (10_000_000, 20), (20_000_000, 30), (60_000_000, 50),
)  # fmt: skip
CLASS_B = _levels(
    (0, 2), (250_000, 4), (750_000, 5), (1_000_000, 10), (5_000_000, 20), (10_000_000, 30), (30_000_000, 50),
)  # fmt: skip

CONTRACTS = (
    Contract(
        "PF_XBTUSD", "BTC/USD", "BTC", "XBT:USD", 0, 4, 1200.0, 0.08, "2022-03-22T13:15:36Z", LEVELS_OF_BTC,
        "GB00BQ84JX13", "Layer 1",
    ),
    Contract(
        "PF_ETHUSD", "ETH/USD", "ETH", "ETH:USD", 1, 3, 16_000.0, 2.0, "2022-03-22T13:15:36Z", CLASS_A, "",
        "Layer 1",
    ),
    Contract(
        "PF_SOLUSD", "SOL/USD", "SOL", "SOL:USD", 2, 2, 250_000.0, 50.0, "2022-03-22T13:15:36Z", CLASS_B, "",
        "Layer 1",
    ),
    Contract(
        "PF_AVAXUSD", "AVAX/USD", "AVAX", "AVAX:USD", 3, 1, 400_000.0, 150.0, "2022-06-20T12:57:30Z", CLASS_B,
        "", "Layer 1",
    ),
    Contract(
        "PF_DOGEUSD", "DOGE/USD", "DOGE", "DOGE:USD", 5, 0, 200_000_000.0, 45_000.0, "2022-06-20T12:57:30Z",
        _levels((0, 2), (2_000_000, 4), (4_000_000, 5), (8_000_000, 10), (16_000_000, 20), (30_000_000, 50)),
        "GB00BQ84K163", "Community",
    ),
)  # fmt: skip
