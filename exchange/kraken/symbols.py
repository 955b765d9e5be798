"""Kraken's spellings of spot instruments and of its archive files, into ours: `XBTUSD`, `XXBTZUSD` -> `BTC/USD`.

A perpetual keeps its name, `PF_XBTUSD`; the candles of its mark and of its index are series of their own beside it,
`PF_XBTUSD.mark` and `PF_XBTUSD.spot`. Whoever reads an archive can have this without the rest of the venue.
"""

import re

from trading.errors import InputUnusable

OUR_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
ARCHIVE_NAMES = {ours: theirs for theirs, ours in OUR_NAMES.items()}
CONTRACT = re.compile(r"(PF|PI|FI|FF)_[A-Z0-9]+(_[0-9]{6})?(\.(mark|spot))?")

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
MINUTES = {timeframe: minutes for minutes, timeframe in TIMEFRAMES.items()}


def series_of_file(name: str) -> tuple[str, str] | None:
    """Instrument and timeframe that an archive's file name states, `XBTUSD_15.csv` -> (`BTC/USD`, `15m`).

    Contracts are named as they are, `PF_XBTUSD.mark_15.csv` -> (`PF_XBTUSD.mark`, `15m`). Folders before the name don't
    matter. None when the name states no instrument or no interval of Kraken's.
    """
    stem, _, ending = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    spelling, _, minutes = stem.rpartition("_")
    instrument = spelling if CONTRACT.fullmatch(spelling) else instrument_of(spelling)
    timeframe = TIMEFRAMES.get(minutes)
    if ending.lower() != "csv" or instrument is None or timeframe is None:
        return None
    return instrument, timeframe


def file_of_series(instrument: str, timeframe: str) -> str:
    """The name of the archive's file that `series_of_file` reads so: (`BTC/USD`, `15m`) -> `XBTUSD_15.csv`."""
    return f"{archive_name(instrument)}_{MINUTES[timeframe]}.csv"


def archive_name(instrument: str) -> str:
    """An instrument as the names of files have it: `BTC/USD` -> `XBTUSD`, `PF_XBTUSD` as it is.

    Raises InputUnusable: it is neither, or no name that would be read as the same instrument again.
    """
    if CONTRACT.fullmatch(instrument):
        return instrument
    base, _, quote = instrument.partition("/")
    name = f"{ARCHIVE_NAMES.get(base, base)}{ARCHIVE_NAMES.get(quote, quote)}"
    if instrument_of(name) != instrument:
        raise InputUnusable(f"{instrument!r} is no instrument of Kraken's: write BTC/USD, or PF_XBTUSD for a contract.")
    return name


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
