import pytest

from exchange.kraken.symbols import instrument_of, series_of_file


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
        ("XBTUSD_15.txt", None),
        ("XBTUSD_7.csv", None),
        ("XBTUSD.csv", None),
        ("readme.csv", None),
    ],
)
def test_a_file_name_states_instrument_and_timeframe(name, series):
    assert series_of_file(name) == series
