"""One quote, three spellings: the REST row, the ticker feed and its lite form.

REST gives funding in USD for one base unit and hour; the feed gives that and the relative rate, and the hour's end.
"""

from exchange.sandbox.futures.contracts import Row, Standing, base_units, turnover_usd, usd
from exchange.sandbox.market.facts import Contract
from exchange.sandbox.market.model import FuturesQuote
from exchange.sandbox.units import MS_NS
from exchange.sandbox.wire.numbers import rfc3339

MICROSECONDS = 6  # fractional digits of lastTime
INDEX_DECIMALS = 8  # at most: the index has fewer digits than the mark


def rest_row(contract: Contract, quote: FuturesQuote, now: Standing) -> Row:
    """A row of /tickers. A halted contract has neither last nor bid nor ask."""
    day = quote.rolling
    return {
        "symbol": contract.symbol,
        **({} if now.suspended else _last(contract, quote)),
        "tag": "perpetual",
        "pair": contract.pair,
        "markPrice": quote.mark_usd,
        **({} if now.suspended else _touch(contract, quote)),
        "vol24h": base_units(day.volume, contract),
        "volumeQuote": turnover_usd(day.turnover, contract),
        "openInterest": quote.open_interest,
        "open24h": usd(day.open, contract),
        "high24h": usd(day.high, contract),
        "low24h": usd(day.low, contract),
        "vwap24h": _vwap_usd(contract, quote),
        "fundingRate": quote.funding_rate,
        "fundingRatePrediction": quote.funding_rate_prediction,
        "suspended": now.suspended,
        "indexPrice": _index_usd(quote),
        "postOnly": now.post_only,
        "change24h": _change_percent(quote),
    }


def feed_ticker(contract: Contract, quote: FuturesQuote, now: Standing, now_ns: int) -> Row:
    """A message of the ticker feed, the names mixed as at the venue. A halted contract has no last, bid nor ask."""
    return {
        "time": now_ns // MS_NS,
        "product_id": contract.symbol,
        **_funding(quote),
        "leverage": f"{round(1 / contract.margin_levels[0].initial)}x",
        "premium": 0.0,
        "feed": "ticker",
        **({} if now.suspended else _feed_touch(contract, quote)),
        "volume": base_units(quote.rolling.volume, contract),
        "dtm": 0,
        "index": _index_usd(quote),
        **({} if now.suspended else {"last": usd(quote.last, contract)}),
        "change": _change_percent(quote),
        "suspended": now.suspended,
        "tag": "perpetual",
        "pair": contract.pair,
        "openInterest": quote.open_interest,
        "markPrice": quote.mark_usd,
        "maturityTime": 0,
        "post_only": now.post_only,
        "volumeQuote": turnover_usd(quote.rolling.turnover, contract),
    }


def feed_ticker_lite(contract: Contract, quote: FuturesQuote) -> Row:
    """A message of the ticker_lite feed: no time, no funding."""
    return {
        "feed": "ticker_lite",
        "product_id": contract.symbol,
        "bid": usd(quote.bid.price, contract),
        "ask": usd(quote.ask.price, contract),
        "change": _change_percent(quote),
        "premium": 0.0,
        "volume": base_units(quote.rolling.volume, contract),
        "tag": "perpetual",
        "pair": contract.pair,
        "dtm": 0,
        "maturityTime": 0,
        "volumeQuote": turnover_usd(quote.rolling.turnover, contract),
    }


def _last(contract: Contract, quote: FuturesQuote) -> Row:
    return {
        "last": usd(quote.last, contract),
        "lastTime": rfc3339(quote.last_ns, MICROSECONDS),
        "lastSize": base_units(quote.last_size, contract),
    }


def _touch(contract: Contract, quote: FuturesQuote) -> Row:
    return {
        "bid": usd(quote.bid.price, contract),
        "bidSize": base_units(quote.bid.quantity, contract),
        "ask": usd(quote.ask.price, contract),
        "askSize": base_units(quote.ask.quantity, contract),
    }


def _feed_touch(contract: Contract, quote: FuturesQuote) -> Row:
    return {
        "bid": usd(quote.bid.price, contract),
        "ask": usd(quote.ask.price, contract),
        "bid_size": base_units(quote.bid.quantity, contract),
        "ask_size": base_units(quote.ask.quantity, contract),
    }


def _index_usd(quote: FuturesQuote) -> float:
    return round(quote.index_usd, INDEX_DECIMALS)


def _vwap_usd(contract: Contract, quote: FuturesQuote) -> float:
    day = quote.rolling
    if day.volume == 0:
        return usd(day.open, contract)
    return round(usd(1, contract) * day.turnover / day.volume, contract.price_decimals + 1)


def _change_percent(quote: FuturesQuote) -> float:
    opened = quote.rolling.open
    return round((quote.last - opened) * 100 / opened, 2) if opened else 0.0


def _funding(quote: FuturesQuote) -> Row:
    rates = {
        "funding_rate": quote.funding_rate,
        "funding_rate_prediction": quote.funding_rate_prediction,
        "relative_funding_rate": quote.relative_funding_rate,
        "relative_funding_rate_prediction": quote.relative_funding_rate_prediction,
    }
    # The venue leaves a rate of zero out instead of writing it.
    return {
        **{name: rate for name, rate in rates.items() if rate},
        "next_funding_rate_time": quote.next_funding_ns // MS_NS,
    }
