"""Published prices become ticks in one place, to the nearest one and without a float in between."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Instrument, Settings, load_settings
from exchange.rows import Candle, Signal
from tasks import market
from tasks.futures.perpetuals import NO_CHARTS, candle_columns
from tasks.market import DISTANCES, at_own_closes, load_history, rules_of, signal_table
from trading.errors import InputUnusable, SetupFailed
from warehouse.strategies.loading import Strategy, load_strategy

NAMES = ("BTC/USD", "ETH/USD")
MARGIN = {"initial_margin_percent": Decimal(2), "maintenance_margin_percent": Decimal(1)}
SPECS = (
    Instrument(futures="PF_XBTUSD", tick_usd=Decimal(1), lot_base=Decimal("0.0001"), maximum_lots=10, **MARGIN),
    Instrument(futures="PF_ETHUSD", tick_usd=Decimal("0.1"), lot_base=Decimal("0.001"), maximum_lots=10, **MARGIN),
)
MOMENT, EXACT = pl.Datetime("us", "UTC"), pl.Decimal(28, 10)
CHART = {
    "contract": pl.String, "opened_at": MOMENT,
    **dict.fromkeys(("open", "high", "low", "close", "volume", "mark_high", "mark_low", "mark_close"), EXACT),
}  # fmt: skip
AT = datetime(2023, 1, 1, tzinfo=UTC)
AT_US = 1_672_531_200_000_000
BAR = timedelta(minutes=15)
BAR_US = 900_000_000


def candle_frame(*rows: tuple[str, int, str, str, str, str]) -> pl.DataFrame:
    """Rows of instrument, number of the bar, open, high, low, close."""
    return pl.DataFrame(
        [(name, AT + bar * BAR, AT + (bar + 1) * BAR, *map(Decimal, (*prices, "0.5"))) for name, bar, *prices in rows],
        schema={
            "instrument": pl.String, "opened_at": pl.Datetime("us", "UTC"), "closed_at": pl.Datetime("us", "UTC"),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Decimal(28, 10)),
        },
        orient="row",
    )  # fmt: skip


def signal_frame(*rows: tuple[str, int, int, str, float, float | None, float | None]) -> pl.DataFrame:
    """Rows of instrument, bar of the close, bar when known, side, close, stop and first target distance."""
    return pl.DataFrame(
        [(name, AT + at * BAR, AT + known * BAR, *rest, *[None] * 3, 1.0, None) for name, at, known, *rest in rows],
        schema={
            "instrument": pl.String, "closed_at": pl.Datetime("us", "UTC"), "known_at": pl.Datetime("us", "UTC"),
            "side": pl.String,
            **dict.fromkeys(("close", *DISTANCES[:-1], "score", "entry_distance"), pl.Float64),
        },
        orient="row",
    )  # fmt: skip


def charts(*rows: tuple[str, int, str, str, str, str, str, str | None, str | None, str | None]) -> pl.DataFrame:
    """Rows of contract, number of the bar, open, high, low, close, volume, and high, low, close of the mark."""
    exact = [[None if value is None else Decimal(value) for value in values] for _, _, *values in rows]
    keys = [(contract, AT + bar * BAR) for contract, bar, *_ in rows]
    return pl.DataFrame([(*key, *values) for key, values in zip(keys, exact, strict=True)], schema=CHART, orient="row")


def candles_of(frame: pl.DataFrame, basis_ppm: int = 0, own: pl.DataFrame | None = None) -> list[Candle]:
    table, _ = candle_columns(frame, NO_CHARTS if own is None else own, NAMES, SPECS, basis_ppm)
    return [Candle(*row) for row in table.rows()]


def prices_of(frame: pl.DataFrame, basis_ppm: int = 0) -> list[Candle]:
    return [one._replace(volume_lots=0) for one in candles_of(frame, basis_ppm)]


def signals_of(frame: pl.DataFrame, after: datetime = AT) -> list[Signal]:
    return [Signal(*row) for row in signal_table(frame, NAMES, SPECS, Decimal(0), after).tolist()]


def test_prices_go_to_the_nearest_tick_of_each_instrument():
    frame = candle_frame(
        ("ETH/USD", 0, "1200.04", "1200.05", "1199.95", "1200.0"),
        ("BTC/USD", 0, "16500.4", "16500.5", "16499.5", "16500"),
    )
    assert prices_of(frame) == [
        Candle(0, AT_US, AT_US + BAR_US, 16500, 16501, 16500, 16500),
        Candle(1, AT_US, AT_US + BAR_US, 12000, 12001, 12000, 12000),
    ]


def test_candles_are_in_the_order_of_their_closes_then_of_the_instruments():
    flat = ("100", "100", "100", "100")
    frame = candle_frame(("ETH/USD", 1, *flat), ("BTC/USD", 1, *flat), ("ETH/USD", 0, *flat))
    assert [(candle.closed_at - AT_US, candle.instrument) for candle in candles_of(frame)] == [
        (BAR_US, 1),
        (2 * BAR_US, 0),
        (2 * BAR_US, 1),
    ]


def test_the_basis_is_added_before_rounding():
    frame = candle_frame(("BTC/USD", 0, "10000", "10000.4", "9999.6", "10000"))
    assert prices_of(frame, 500)[0][3:7] == (10005, 10005, 10005, 10005)
    assert prices_of(frame, -500)[0][3:7] == (9995, 9995, 9995, 9995)


def test_where_the_perpetual_traded_its_own_prices_and_volume_count():
    frame = candle_frame(("BTC/USD", 0, *["10000"] * 4), ("BTC/USD", 1, *["10000"] * 4))
    own = charts(("PF_XBTUSD", 1, "10010", "10020.4", "10009.6", "10015", "7.00019", "10030", "9990", "10011.5"))
    assert [one[3:] for one in candles_of(frame, 500, own)] == [
        (10005, 10005, 10005, 10005, 0, 0, 0, 5_000),
        (10010, 10020, 10010, 10015, 10030, 9990, 10012, 70_001),
    ]


def test_where_only_its_mark_is_known_nothing_traded():
    own = charts(("PF_XBTUSD", 0, *[None] * 4, "0", "10030", "9990", "10011"))
    assert candles_of(candle_frame(("BTC/USD", 0, *["10000"] * 4)), 0, own)[0][3:] == (
        *[10_000] * 4, 10_030, 9_990, 10_011, 0,
    )  # fmt: skip


def test_volumes_are_whole_lots_exactly():
    own = charts(("PF_ETHUSD", 0, *["1000"] * 4, "0.003", None, None, None))
    assert candles_of(candle_frame(("ETH/USD", 0, *["1000"] * 4)), 0, own)[0].volume_lots == 3


def test_a_signal_asks_for_the_price_that_its_perpetual_closed_at():
    own = charts(("PF_XBTUSD", 0, *["9950"] * 4, "1", None, None, None))
    frame = candle_frame(("BTC/USD", 0, *["10000"] * 4), ("ETH/USD", 0, *["1000"] * 4))
    table = np.array(candles_of(frame, 0, own))
    given = signal_frame(
        ("BTC/USD", 1, 1, "long", 10_000.0, 50.0, None), ("ETH/USD", 1, 1, "long", 1_000.0, 5.0, None),
        ("BTC/USD", 2, 2, "long", 10_001.0, 50.0, None),
    )  # fmt: skip
    signals = at_own_closes(signal_table(given, NAMES, SPECS, Decimal(0), AT), table)
    assert [Signal(*row).price for row in signals.tolist()] == [9_950, 10_000, 10_001]


def test_two_spot_markets_of_one_perpetual_are_refused_by_name(settings):
    twice = {**settings.instruments, "BTC/USDT": settings.instruments["BTC/USD"]}
    with pytest.raises(InputUnusable, match="BTC/USD and BTC/USDT are traded on one perpetual, PF_XBTUSD"):
        load_history(
            settings.model_copy(update={"instruments": twice}),
            load_strategy(settings.paths.sql / "marts" / "signals_ema_cross.sql"),
            instruments=("BTC/USD", "BTC/USDT"),
        )


def test_a_perpetual_that_traded_without_a_known_mark_has_none():
    own = charts(("PF_XBTUSD", 0, *["10010"] * 4, "7", None, None, None))
    assert candles_of(candle_frame(("BTC/USD", 0, *["10000"] * 4)), 0, own)[0][7:] == (0, 0, 0, 70_000)


@given(st.decimals("0.05", "9999999", places=10))
def test_conversion_is_that_of_exact_decimals(price):
    frame = candle_frame(("ETH/USD", 0, *[str(price)] * 4))
    exact = int((price / Decimal("0.1") + Decimal("0.5")).to_integral_value("ROUND_FLOOR"))
    assert candles_of(frame)[0].close == exact


def test_a_price_below_one_tick_is_refused():
    with pytest.raises(InputUnusable, match="1 candles of BTC/USD trade below one tick"):
        candles_of(candle_frame(("BTC/USD", 0, "1", "1", "0.4", "1")))


def test_signals_come_in_ticks_and_a_missing_distance_is_none():
    (signal,) = signals_of(signal_frame(("ETH/USD", 1, 2, "short", 1200.04, 12.34, None)))
    assert signal == Signal(
        instrument=1, signal_at=AT_US + BAR_US, known_at=AT_US + 2 * BAR_US, side=-1, price=12000, stop_distance=123,
        target_1_distance=0, target_2_distance=0, target_3_distance=0, target_4_distance=0, score=1_000_000,
    )  # fmt: skip


def test_a_distance_below_one_tick_is_one_tick_and_not_none():
    (signal,) = signals_of(signal_frame(("BTC/USD", 1, 1, "long", 16500.0, 0.2, 0.0)))
    assert (signal.stop_distance, signal.target_1_distance) == (1, 0)


def test_a_limit_comes_in_ticks_too():
    frame = signal_frame(("ETH/USD", 1, 1, "long", 1200.0, 12.0, None)).with_columns(entry_distance=3.26)
    assert [signal.entry_distance for signal in signals_of(frame)] == [33]


def test_limits_that_the_settings_let_not_wait_are_refused(settings, tmp_path):
    strategy = with_limits(settings, tmp_path)
    with pytest.raises(InputUnusable, match=r"entry_distance.*risk\.entry_limit_minutes = 0 lets none wait"):
        load_history(settings, strategy)
    history = load_history(waiting_for(60, settings), strategy)
    assert (history.market.signals[:, Signal._fields.index("entry_distance")] > 0).all()
    assert history.market.rules[0].entry_life_us == 3_600_000_000


def test_limits_that_no_candle_could_fill_are_refused_by_both_names_i23(settings, tmp_path):
    strategy = with_limits(settings, tmp_path)
    said = r"risk\.entry_limit_minutes = 14 is shorter than a candle of strategy\.timeframe = 15m"
    with pytest.raises(InputUnusable, match=said):
        load_history(waiting_for(14, settings), strategy)
    assert load_history(waiting_for(15, settings), strategy).market.rules[0].entry_life_us == 900_000_000


def with_limits(settings: Settings, folder: Path) -> Strategy:
    """The sample's strategy, with a limit 5 USD better than the close for each of its entries."""
    text = (settings.paths.sql / "marts" / "signals_ema_cross.sql").read_text(encoding="utf-8")
    last = "null::double as target_4_distance,"
    assert last in text
    path = folder / "signals_limit.sql"
    path.write_text(text.replace(last, f"{last}\n        5.0::double as entry_distance,"), encoding="utf-8")
    return load_strategy(path)


def waiting_for(minutes: int, settings: Settings) -> Settings:
    risk = settings.risk.model_copy(update={"entry_limit_minutes": minutes})
    return settings.model_copy(update={"risk": risk})


def test_signals_known_before_the_first_candle_opened_are_left_out():
    frame = signal_frame(
        ("BTC/USD", 0, 0, "long", 1.0, 1.0, 1.0),
        ("ETH/USD", 0, 2, "long", 1.0, 1.0, 1.0),
        ("BTC/USD", 2, 2, "long", 1.0, 1.0, 1.0),
    )
    assert [(signal.instrument, signal.known_at - AT_US) for signal in signals_of(frame)] == [
        (0, 2 * BAR_US),
        (1, 2 * BAR_US),
    ]


def test_no_signals_are_an_empty_table():
    assert signal_table(signal_frame(), NAMES, SPECS, Decimal(0), AT).shape == (0, 12)


def test_candles_and_signals_are_of_one_publication_though_another_comes_in_between(settings, tmp_path, monkeypatch):
    strategy = load_strategy(settings.paths.sql / "marts" / "signals_ema_cross.sql")
    undisturbed = load_history(settings, strategy).market

    def read_then_published(*arguments):
        candles = market_candles(*arguments)
        other = tmp_path / "other.duckdb"
        other.write_bytes(b"another publication")
        other.replace(settings.paths.published)
        return candles

    market_candles = market.read_candles
    monkeypatch.setattr(market, "read_candles", read_then_published)
    disturbed = load_history(settings, strategy).market
    assert (disturbed.candles == undisturbed.candles).all()
    assert (disturbed.signals == undisturbed.signals).all()
    assert len(disturbed.signals)


def test_without_candles_or_a_publication_there_is_nothing_to_trade_on(settings):
    strategy = load_strategy(settings.paths.sql / "marts" / "signals_ema_cross.sql")
    with pytest.raises(InputUnusable, match="no published 15m candles of BTC/USD from 2030-01-01 00:00"):
        load_history(settings, strategy, instruments=("BTC/USD",), first=datetime(2030, 1, 1, tzinfo=UTC))
    settings.paths.published.unlink()
    with pytest.raises(SetupFailed, match="no published warehouse"):
        load_history(settings, strategy)


def test_a_bucket_has_one_number_whatever_is_traded():
    settings = load_settings()
    named = {"BTC/USD": "majors", "ETH/USD": "majors", "SOL/USD": "alts", "XRP/USD": ""}
    spec = settings.instruments["BTC/USD"]
    specs = {name: spec.model_copy(update={"bucket": bucket}) for name, bucket in named.items()}
    risk = settings.risk.model_copy(update={"max_bucket_positions": 1})
    bucketed = settings.model_copy(update={"instruments": specs, "risk": risk})
    units = [rules_of(bucketed, name, each).bucket_unit for name, each in specs.items()]
    assert units == [64, 64, 1, 0]
    assert rules_of(settings, "BTC/USD", spec).bucket_unit == 0
