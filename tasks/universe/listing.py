"""The venue's lists in our words: as rows for the warehouse, as markets to be judged, and as names to be doubted."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from exchange.kraken.payloads import AssetPair, Instrument, MarginLevel, Ticker
from exchange.kraken.symbols import instrument_of
from exchange.universe import Candidate, Listed, Perpetual, SpotPair
from warehouse.reference.lists import CandidateRow, ContractRow, PairRow

LINEAR = "flexible_futures"
EVERYONE = "all"  # the margin schedule of whoever has no other


class Reply(NamedTuple):
    """What the venue said in one look, all of it."""

    pairs: tuple[AssetPair, ...]
    instruments: tuple[Instrument, ...]
    tickers: tuple[Ticker, ...]


def listed(reply: Reply, candidates: Iterable[Candidate]) -> Listed:
    """The names of a reply, and what the universe of it would be."""
    return Listed(
        frozenset(pair.instrument for pair in reply.pairs if pair.instrument is not None),
        frozenset(_symbol(contract) for contract in reply.instruments),
        frozenset(each.instrument for each in candidates if each.is_member),
    )


def quoted(tickers: Iterable[Ticker]) -> frozenset[str]:
    """The contracts, and whatever else, whose state was told."""
    return frozenset(_symbol(ticker) for ticker in tickers)


def spot_pairs(pairs: Iterable[AssetPair]) -> Iterator[SpotPair]:
    """Those that are pairs in our sense."""
    return (SpotPair(pair.instrument, pair.status) for pair in pairs if pair.instrument is not None)


def perpetuals(instruments: Iterable[Instrument], tickers: Iterable[Ticker]) -> Iterator[Perpetual]:
    """The linear contracts without an end, each with its market; one that has no ticker has no market."""
    by_symbol = {_symbol(ticker): ticker for ticker in tickers}
    for contract in instruments:
        followed = _followed(contract)
        if followed is not None and contract.type == LINEAR and contract.last_trading_time is None:
            yield _perpetual(contract, followed, by_symbol.get(_symbol(contract)))


def pair_rows(pairs: Iterable[AssetPair]) -> Iterator[PairRow]:
    """As `raw.asset_pairs` has them."""
    for pair in pairs:
        yield PairRow(
            altname=pair.altname,
            instrument=pair.instrument,
            wsname=pair.wsname,
            base=pair.base,
            quote=pair.quote,
            pair_decimals=pair.pair_decimals,
            lot_decimals=pair.lot_decimals,
            cost_decimals=pair.cost_decimals,
            status=pair.status,
            ordermin=pair.ordermin,
            costmin=pair.costmin,
            tick_size=pair.tick_size,
            leverage_buy=pair.leverage_buy,
            leverage_sell=pair.leverage_sell,
            long_position_limit=pair.long_position_limit,
            short_position_limit=pair.short_position_limit,
        )


def contract_rows(instruments: Iterable[Instrument]) -> Iterator[ContractRow]:
    """As `raw.contracts` has them."""
    for contract in instruments:
        yield ContractRow(
            symbol=_symbol(contract),
            instrument=_followed(contract),
            type=contract.type,
            base=contract.base,
            quote=contract.quote,
            pair=contract.pair,
            tradeable=contract.tradeable,
            post_only=contract.post_only,
            is_expired=contract.is_expired,
            tick_size=contract.tick_size,
            contract_size=contract.contract_size,
            contract_value_trade_precision=contract.contract_value_trade_precision,
            impact_mid_size=contract.impact_mid_size,
            max_position_size=contract.max_position_size,
            opening_date=_in_utc(contract.opening_date),
            last_trading_time=_in_utc(contract.last_trading_time),
            funding_rate_coefficient=contract.funding_rate_coefficient,
            max_relative_funding_rate=contract.max_relative_funding_rate,
            margin_levels=json.dumps([*_levels(contract)]),
        )


def candidate_rows(candidates: Sequence[Candidate]) -> Iterator[CandidateRow]:
    """As `raw.universe` has them."""
    for each in candidates:
        yield CandidateRow(
            each.instrument,
            each.contract,
            each.is_member,
            "; ".join(each.reasons),
            each.volume_24h_usd,
            each.spread_bps,
        )


def _symbol(row: Instrument | Ticker) -> str:
    return row.symbol.upper()


def _followed(contract: Instrument) -> str | None:
    """The spot pair whose price a contract follows."""
    pair = contract.pair or f"{contract.base or ''}:{contract.quote or ''}"
    return instrument_of(pair.replace(":", "/"))


def _perpetual(contract: Instrument, followed: str, ticker: Ticker | None) -> Perpetual:
    return Perpetual(
        _symbol(contract),
        followed,
        is_tradeable=contract.tradeable and not contract.is_expired,
        is_post_only=contract.post_only or bool(ticker and ticker.post_only),
        is_suspended=bool(ticker and ticker.suspended),
        volume_24h_usd=_volume_usd(ticker) if ticker else None,
        bid=ticker.bid if ticker else None,
        ask=ticker.ask if ticker else None,
    )


def _volume_usd(ticker: Ticker) -> Decimal | None:
    """Older rows state the volume in base units only."""
    if ticker.volume_quote is not None:
        return ticker.volume_quote
    if ticker.vol24h is not None and ticker.mark_price is not None:
        return ticker.vol24h * ticker.mark_price
    return None


def _levels(contract: Instrument) -> Iterator[Mapping[str, str]]:
    yield from _levels_of(EVERYONE, contract.margin_levels)
    for region, schedule in sorted(contract.margin_schedules.items()):
        yield from _levels_of(f"{region}/retail", schedule.retail)
        yield from _levels_of(f"{region}/professional", schedule.professional)


def _levels_of(schedule: str, levels: Iterable[MarginLevel]) -> Iterator[Mapping[str, str]]:
    for level in levels:
        is_by_contracts = level.num_non_contract_units is None
        begins = level.contracts if is_by_contracts else level.num_non_contract_units
        yield {
            "schedule": schedule,
            "unit": "contracts" if is_by_contracts else "notional",
            "from": _plain(begins or Decimal(0)),
            "initial": _plain(level.initial_margin),
            "maintenance": _plain(level.maintenance_margin),
        }


def _plain(number: Decimal) -> str:
    """The same number is the same text: `1`, `1.0` and `1E+0` are `1`."""
    return f"{number.normalize():f}"


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
