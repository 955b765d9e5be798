"""Kraken's spellings of spot instruments and of its archive files, into ours: `XBTUSD`, `XXBTZUSD` -> `BTC/USD`.

Imports nothing, so that whoever reads an archive can have it without the rest of the venue.
"""

OUR_NAMES = {"XBT": "BTC", "XDG": "DOGE"}

# Assets from before 2017 carry a class letter, X for coins and Z for money, in pairs of exactly two times four letters.
# Listed one by one, because Tezos (XTZ) and Zcash (ZEC) begin with those letters by themselves.
WITH_CLASS_LETTER = {
    name: name[1:]
    for name in (
        "XETC", "XETH", "XLTC", "XMLN", "XREP", "XXBT", "XXDG", "XXLM", "XXMR", "XXRP", "XZEC",
        "ZAUD", "ZCAD", "ZEUR", "ZGBP", "ZJPY", "ZUSD",
    )
}  # fmt: skip

# What Kraken quotes prices in. The longest ending wins: XBTUSDT is in USDT, ETHPYUSD in PYUSD.
QUOTES = (
    "PYUSD", "RLUSD", "EURC", "EURQ", "EURR", "USD1", "USDC", "USDG", "USDQ", "USDR", "USDT",
    "AED", "AUD", "BTC", "CAD", "CHF", "DAI", "DOT", "ETH", "EUR", "GBP", "JPY", "USD", "XBT",
)  # fmt: skip

TIMEFRAMES = {
    "1": "1m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "240": "4h",
    "720": "12h",
    "1440": "1d",
    "10080": "7d",
    "21600": "15d",
}  # by minutes, as file names and requests write them


def series_of_file(name: str) -> tuple[str, str] | None:
    """Instrument and timeframe that an archive's file name states, `XBTUSD_15.csv` -> (`BTC/USD`, `15m`).

    Folders before the name don't matter. None when the name states no Kraken pair or no interval of Kraken's.
    """
    stem, _, ending = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    pair, _, minutes = stem.rpartition("_")
    instrument = instrument_of(pair)
    timeframe = TIMEFRAMES.get(minutes)
    if ending.lower() != "csv" or instrument is None or timeframe is None:
        return None
    return instrument, timeframe


def instrument_of(spelling: str) -> str | None:
    """Our name of a spot pair in any of Kraken's spellings, or None when it is not one."""
    base, quote = _split(spelling.strip().upper())
    if not (base.isalnum() and quote.isalnum() and base.isascii() and quote.isascii()):
        return None
    return f"{_our_name(base)}/{_our_name(quote)}"


def _split(pair: str) -> tuple[str, str]:
    if "/" in pair:
        base, _, quote = pair.partition("/")
        return base, quote
    if len(pair) == 8 and pair[4:] in WITH_CLASS_LETTER:
        return pair[:4], pair[4:]
    quote = next((ending for ending in QUOTES if pair.endswith(ending)), "")
    return pair.removesuffix(quote), quote


def _our_name(asset: str) -> str:
    asset = WITH_CLASS_LETTER.get(asset, asset)
    return OUR_NAMES.get(asset, asset)
