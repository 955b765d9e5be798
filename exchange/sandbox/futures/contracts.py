"""Contracts as the futures venue spells and lists them, and what may be done with them at this moment."""

from collections.abc import Iterator
from typing import NamedTuple

from exchange.sandbox.market.facts import Contract
from exchange.sandbox.venue import CANCEL_ONLY, MAINTENANCE, POST_ONLY, Venue
from exchange.sandbox.wire.numbers import decimal_text

LINEAR_FEES = "723888f7-0a8e-4183-8648-f920a22339e3"  # uid of the fee schedule that all linear contracts name

Row = dict[str, object]


class Standing(NamedTuple):
    """What the venue lets people do with a contract."""

    suspended: bool
    post_only: bool


def find(venue: Venue, symbol: str) -> Contract | None:
    """The contract of that name, in whatever case it is written."""
    return venue.market.contracts.get(symbol.upper())


def listed(venue: Venue) -> Iterator[Contract]:
    """Every contract that the lists of markets show now."""
    return (contract for symbol, contract in venue.market.contracts.items() if symbol not in venue.hidden)


def standing(venue: Venue, contract: Contract) -> Standing:
    """What may be done with it now."""
    halted = venue.status in {MAINTENANCE, CANCEL_ONLY} or contract.symbol in venue.suspended
    return Standing(suspended=halted, post_only=venue.status == POST_ONLY)


def instrument(contract: Contract, now: Standing) -> Row:
    """A row of /instruments. BTC is BTC here, while the ticker's pair says XBT."""
    return {
        "symbol": contract.symbol,
        "type": "flexible_futures",
        "tickSize": 1 if contract.price_decimals == 0 else 1 / 10**contract.price_decimals,
        "contractSize": 1,
        "tradeable": not now.suspended,
        "impactMidSize": contract.impact_mid_size,
        "maxPositionSize": contract.maximum_position,
        "openingDate": contract.opened_at,
        "marginLevels": [
            {
                "numNonContractUnits": float(level.from_usd),
                "initialMargin": level.initial,
                "maintenanceMargin": level.maintenance,
            }
            for level in contract.margin_levels
        ],
        "fundingRateCoefficient": 8,
        "maxRelativeFundingRate": 0.005,
        **({"isin": contract.isin} if contract.isin else {}),
        "contractValueTradePrecision": contract.size_decimals,
        "postOnly": now.post_only,
        "feeScheduleUid": LINEAR_FEES,
        "mtf": True,
        "base": contract.base,
        "quote": "USD",
        "pair": f"{contract.base}:USD",
        "category": contract.category,
        "tradfi": False,
        "isExpired": False,
    }


def status(contract: Contract) -> Row:
    """A row of /instruments/status. Nothing dislocates prices here."""
    return {
        "tradeable": contract.symbol,
        "experiencingDislocation": False,
        "priceDislocationDirection": None,
        "experiencingExtremeVolatility": False,
        "extremeVolatilityInitialMarginMultiplier": 1,
    }


def fee_schedules() -> list[Row]:
    """Of /feeschedules, in percent. Deprecated at the venue: an account is charged by another table."""
    tiers = [(0.02, 0.05, 0.0), (0.0175, 0.045, 5_000_000.0)]
    return [
        {
            "uid": LINEAR_FEES,
            "name": "MTF Linear Rebate Fees",
            "tiers": [{"makerFee": maker, "takerFee": taker, "usdVolume": volume} for maker, taker, volume in tiers],
        }
    ]


def usd(points: int, contract: Contract) -> float:
    """A price in ticks as the number the venue writes. The nearest double prints as the exact decimal."""
    return _scaled(points, contract.price_decimals)


def base_units(lots: int, contract: Contract) -> float:
    """A size in lots as the number the venue writes."""
    return _scaled(lots, contract.size_decimals)


def turnover_usd(turnover: int, contract: Contract) -> float:
    """A sum of ticks times lots, in USD."""
    return _scaled(turnover, contract.price_decimals + contract.size_decimals)


def padded_size(lots: int, contract: Contract, digits: int) -> str:
    """A size in lots as text with that many decimals, as candles write it. `digits` is at least the contract's own."""
    return decimal_text(lots * 10 ** (digits - contract.size_decimals), digits)


def _scaled(number: int, decimals: int) -> float:
    return float(number * 10**-decimals if decimals < 0 else number / 10**decimals)
