import pytest

from exchange.kraken.symbols import TIMEFRAMES, archive_name, file_of_series, instrument_of, series_of_file
from trading.errors import InputUnusable


@pytest.mark.parametrize(
    ("spelling", "instrument"),
    [
        ("XBTUSD", "BTC/USD"),
        ("XBT/USD", "BTC/USD"),
        ("XXBTZUSD", "BTC/USD"),
        ("BTC/USD", "BTC/USD"),
        ("BTCUSD", "BTC/USD"),
        ("ETHUSD", "ETH/USD"),
        ("XETHXXBT", "ETH/BTC"),
        ("ETHXBT", "ETH/BTC"),
        ("XDGUSD", "DOGE/USD"),
        ("XXDGXXBT", "DOGE/BTC"),
        ("DOGEUSD", "DOGE/USD"),
        ("XTZUSD", "XTZ/USD"),
        ("ZECUSD", "ZEC/USD"),
        ("XZECZUSD", "ZEC/USD"),
        ("USDTZUSD", "USDT/USD"),
        ("ZEURZUSD", "EUR/USD"),
        ("XBTUSDT", "BTC/USDT"),
        ("ETHPYUSD", "ETH/PYUSD"),
        ("1INCHEUR", "1INCH/EUR"),
        ("xbtusd", "BTC/USD"),
    ],
)
def test_every_spelling_of_a_pair_gives_one_name(spelling, instrument):
    assert instrument_of(spelling) == instrument


@pytest.mark.parametrize("spelling", ["", "USD", "PF_XBTUSD", "BTC/USD:USD", "HELLO", "/USD", "BTC/", "☃/USD"])
def test_what_is_no_spot_pair_gets_no_name(spelling):
    assert instrument_of(spelling) is None


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("XBTUSD_15.csv", ("BTC/USD", "15m")),
        ("Kraken_OHLCVT/Q1/ETHUSD_1440.csv", ("ETH/USD", "1d")),
        ("a\\b\\XDGUSD_60.CSV", ("DOGE/USD", "1h")),
        ("XBTUSD_1.csv", ("BTC/USD", "1m")),
        ("PF_XBTUSD_15.csv", ("PF_XBTUSD", "15m")),
        ("charts/PF_XBTUSD.mark_1440.csv", ("PF_XBTUSD.mark", "1d")),
        ("FI_XBTUSD_260327_60.csv", ("FI_XBTUSD_260327", "1h")),
        ("PF_XBTUSD.last_15.csv", None),
        ("XBTUSD_15.txt", None),
        ("XBTUSD_7.csv", None),
        ("XBTUSD.csv", None),
        ("readme.csv", None),
    ],
)
def test_a_file_name_states_instrument_and_timeframe(name, series):
    assert series_of_file(name) == series


@pytest.mark.parametrize(
    "instrument", ["BTC/USD", "ETH/BTC", "DOGE/USD", "XTZ/USD", "ETH/PYUSD", "1INCH/EUR", "PF_XBTUSD", "PF_ETHUSD.spot"]
)
def test_the_name_of_a_series_file_is_read_back_as_that_series(instrument):
    for timeframe in TIMEFRAMES.values():
        assert series_of_file(file_of_series(instrument, timeframe)) == (instrument, timeframe)


@pytest.mark.parametrize("name", ["", "BTC", "XBT/USD", "btc/usd", "../BTC/USD", "BTC/MOON", "PF_", "PF_XBTUSD.last"])
def test_what_would_be_read_back_as_something_else_is_refused(name):
    with pytest.raises(InputUnusable, match="is no instrument of Kraken's: write BTC/USD"):
        archive_name(name)
