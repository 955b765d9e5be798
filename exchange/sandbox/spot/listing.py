"""The lists of assets and pairs, for REST and for the instrument channel.

REST writes minima and ticks as text, WebSocket as numbers, small ones with an exponent.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from orjson import Fragment

from exchange.sandbox.market.facts import SpotPair
from exchange.sandbox.venue import ONLINE, Venue
from exchange.sandbox.wire.numbers import decimal_text

MARGIN_CALL_PERCENT, MARGIN_STOP_PERCENT = 80, 40
ASSET_CLASS = "currency"  # the other one, tokenized_asset, is not fed
CANCEL_ONLY_OF_PAIR = "cancel_only"


class Asset(NamedTuple):
    """One currency, in its three spellings."""

    key: str  # `XXBT`
    altname: str  # `XBT`
    display: str  # `BTC`
    decimals: int
    display_decimals: int
    margin_rate: str
    collateral_value: float


class CurrencyFacts(NamedTuple):
    """What differs between currencies; pairs don't tell."""

    decimals: int
    display_decimals: int
    margin_rate: str
    collateral_value: float


# As the venue's Assets stated them in 2026; those of others are of the right kind and size.
FACTS = {
    "BTC": CurrencyFacts(10, 5, "0.01", 0.99),
    "DOGE": CurrencyFacts(8, 2, "0.02", 0.925),
    "ETH": CurrencyFacts(10, 5, "0.02", 0.99),
    "SOL": CurrencyFacts(10, 5, "0.02", 0.925),
    "USD": CurrencyFacts(4, 2, "0.036", 1.0),
}
FACTS_OF_OTHERS = CurrencyFacts(10, 5, "0.02", 0.9)


def assets_of(pairs: Iterable[SpotPair]) -> dict[str, Asset]:
    """All currencies that these pairs trade, by their internal name, bases first."""
    pairs = tuple(pairs)
    bases = [_asset(pair, pair.base, side=0) for pair in pairs]
    quotes = [_asset(pair, pair.quote, side=1) for pair in pairs]
    return {asset.key: asset for asset in (*bases, *quotes)}


def asset_entry(asset: Asset, *, displayed: bool) -> dict[str, Any]:
    """As Assets states it; `displayed` is `assetVersion=1`."""
    return {
        "aclass": ASSET_CLASS,
        "altname": asset.display if displayed else asset.altname,
        "decimals": asset.decimals,
        "display_decimals": asset.display_decimals,
        "collateral_value": asset.collateral_value,
        "status": "enabled",
        "margin_rate": asset.margin_rate,
    }


def pair_entry(pair: SpotPair, status: str, *, displayed: bool) -> dict[str, Any]:
    """As AssetPairs states it. The fee schedules have been empty since September 2026: clients need their own."""
    base, quote = pair.instrument.split("/") if displayed else (pair.base, pair.quote)
    return {
        "altname": pair.instrument if displayed else pair.altname,
        "wsname": pair.instrument if displayed else pair.wsname,
        "aclass_base": ASSET_CLASS,
        "base": base,
        "aclass_quote": ASSET_CLASS,
        "quote": quote,
        "lot": "unit",
        "cost_decimals": pair.cost_decimals,
        "pair_decimals": pair.price_decimals,
        "lot_decimals": pair.volume_decimals,
        "lot_multiplier": 1,
        **leverage_entry(pair),
        **fees_entry(quote),
        "margin_call": MARGIN_CALL_PERCENT,
        "margin_stop": MARGIN_STOP_PERCENT,
        "ordermin": pair.minimum_volume,
        "costmin": pair.minimum_cost,
        "tick_size": decimal_text(1, pair.price_decimals),
        "status": status,
        "execution_venue": "international",
        "long_position_limit": pair.long_position_limit,
        "short_position_limit": pair.short_position_limit,
    }


def leverage_entry(pair: SpotPair) -> dict[str, Any]:
    """What AssetPairs lists for `info=leverage`."""
    return {"leverage_buy": list(pair.leverage), "leverage_sell": list(pair.leverage)}


def fees_entry(quote: str) -> dict[str, Any]:
    """What AssetPairs lists for `info=fees`."""
    return {"fees": [], "fees_maker": [], "fee_volume_currency": quote}


def margin_entry() -> dict[str, Any]:
    """What AssetPairs lists for `info=margin`; the name of the second field differs there."""
    return {"margin_call": MARGIN_CALL_PERCENT, "margin_level": MARGIN_STOP_PERCENT}


def instrument_data(venue: Venue, pairs: Iterable[SpotPair]) -> dict[str, Any]:
    """Assets and pairs as the instrument channel states them."""
    pairs = tuple(pairs)
    return {
        "assets": [_channel_asset(asset) for asset in assets_of(pairs).values()],
        "pairs": [channel_pair(pair, status_of(venue, pair)) for pair in pairs],
    }


def channel_pair(pair: SpotPair, status: str) -> dict[str, Any]:
    """One pair as the instrument channel states it. Limits on positions are there for marginable pairs only."""
    base, quote = pair.instrument.split("/")
    tick = _number(decimal_text(1, pair.price_decimals))
    margin = {
        "margin_initial": round(1 / max(pair.leverage), 4),
        "position_limit_long": pair.long_position_limit,
        "position_limit_short": pair.short_position_limit,
    }
    return {
        "symbol": pair.instrument,
        "base": base,
        "quote": quote,
        "status": status,
        "qty_precision": pair.volume_decimals,
        "qty_increment": _number(decimal_text(1, pair.volume_decimals)),
        "price_precision": pair.price_decimals,
        "cost_precision": pair.cost_decimals,
        "marginable": bool(pair.leverage),
        "has_index": True,
        "ws_display_price_precision": pair.price_decimals,
        "cost_min": _number(pair.minimum_cost),
        **(margin if pair.leverage else {}),
        "tick_size": tick,
        "price_increment": tick,
        "qty_min": _number(pair.minimum_volume),
    }


def listed(venue: Venue) -> list[SpotPair]:
    """The pairs that a list of all shows: what is hidden is missing there, and there alone."""
    return [pair for pair in venue.market.pairs.values() if pair.instrument not in venue.hidden]


def status_of(venue: Venue, pair: SpotPair) -> str:
    """Of one pair: its own when it is suspended, else the venue's."""
    return CANCEL_ONLY_OF_PAIR if venue.status == ONLINE and pair.instrument in venue.suspended else venue.status


def _asset(pair: SpotPair, key: str, side: int) -> Asset:
    display = pair.instrument.split("/")[side]
    return Asset(key, pair.wsname.split("/")[side], display, *FACTS.get(display, FACTS_OF_OTHERS))


def _channel_asset(asset: Asset) -> dict[str, Any]:
    return {
        "id": asset.display,
        "status": "enabled",
        "precision": asset.decimals,
        "precision_display": asset.display_decimals,
        "borrowable": True,
        "collateral_value": asset.collateral_value,
        "class": ASSET_CLASS,
        "margin_rate": Fragment(asset.margin_rate),
    }


def _number(text: str) -> Fragment:
    """A number as the venue writes its own: the shortest decimals, 1e-08 and not 0.00000001."""
    return Fragment(repr(float(text)))
