"""Settings: a typo is an error, a missing limit stops the program, contradictions name both values (I23)."""

from decimal import Decimal

import pytest

from config import settings as module
from config.settings import load_settings
from trading.errors import SetupFailed


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    """A folder of profiles that a test may spoil."""
    for path in module.PROFILES.glob("*.toml"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(module, "PROFILES", tmp_path)
    return tmp_path


def spoil(folder, old, new, file="base.toml"):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


def test_the_shipped_profile_loads_and_is_frozen():
    settings = load_settings("paper")
    assert settings.risk.risk_per_trade_percent == Decimal(1)
    with pytest.raises(Exception, match="frozen"):
        settings.risk.max_positions = 99


def test_an_unknown_key_is_refused_by_its_full_name(profiles):
    spoil(profiles, "max_positions = 2", "max_positions = 2\nmax_postions = 3")
    with pytest.raises(SetupFailed, match=r"risk\.max_postions"):
        load_settings("paper")


@pytest.mark.parametrize(
    "name", ["max_daily_loss_percent", "max_drawdown_percent", "risk_per_trade_percent", "max_positions"]
)
def test_a_limit_that_is_left_out_stops_the_program(profiles, name):
    text = (profiles / "base.toml").read_text()
    (profiles / "base.toml").write_text("\n".join(x for x in text.splitlines() if not x.startswith(f"{name} ")))
    with pytest.raises(SetupFailed, match=rf"risk\.{name}: Field required"):
        load_settings("paper")


def test_i23_contradictory_limits_are_refused_with_both_names_and_values(profiles):
    spoil(profiles, 'max_daily_loss_percent = "5"', 'max_daily_loss_percent = "0.5"')
    with pytest.raises(SetupFailed, match=r"risk_per_trade_percent = 1 exceeds risk\.max_daily_loss_percent = 0\.5"):
        load_settings("paper")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('max_leverage_percent = "0"', 'max_leverage_percent = "99"',
         r"risk\.max_notional_percent = 100 exceeds risk\.max_leverage_percent = 99"),
        ('max_side_percent = "0"', 'max_side_percent = "99"',
         r"risk\.max_notional_percent = 100 exceeds risk\.max_side_percent = 99"),
        ("max_losses_in_a_row = 0", "max_losses_in_a_row = 3",
         r"risk\.max_losses_in_a_row = 3 and risk\.loss_pause_minutes = 0"),
        ("max_bucket_positions = 0", "max_bucket_positions = 1",
         r"risk\.max_bucket_positions = 1 limits nothing: no instrument"),
    ],
)  # fmt: skip
def test_i23_limits_of_all_positions_that_contradict_another_are_refused(profiles, old, new, words):
    spoil(profiles, old, new)
    with pytest.raises(SetupFailed, match=words):
        load_settings("paper")


@pytest.mark.parametrize("value", ['"0"', '"-1"', '"nan"', '"Infinity"', '"many"'])
def test_a_limit_that_is_not_a_positive_number_is_refused(profiles, value):
    spoil(profiles, 'max_daily_loss_percent = "5"', f"max_daily_loss_percent = {value}")
    with pytest.raises(SetupFailed, match=r"risk\.max_daily_loss_percent"):
        load_settings("paper")


def test_an_instrument_nobody_described_is_refused(profiles):
    spoil(profiles, '["BTC/USD", "ETH/USD"]', '["BTC/USD", "SOL/USD"]')
    with pytest.raises(SetupFailed, match="SOL/USD"):
        load_settings("paper")


def test_a_profile_that_does_not_exist_lists_those_that_do():
    with pytest.raises(SetupFailed, match=r"no profile 'papre'; config/ has paper"):
        load_settings("papre")


def test_broken_toml_names_the_file(profiles):
    (profiles / "paper.toml").write_text("[session\n")
    with pytest.raises(SetupFailed, match=r"config/paper\.toml"):
        load_settings("paper")


def test_slipway_home_moves_what_is_made_and_not_what_is_shipped(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    paths = load_settings("paper").paths
    assert paths.published == tmp_path / "warehouse" / "slipway.duckdb"
    assert paths.build.is_relative_to(tmp_path)
    assert paths.sql == module.ROOT / "sql"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('addresses = "sandbox.json"', ""),
        ('futures_url = "https://futures.kraken.com"', ""),
        ('futures_url = "https://futures.kraken.com"', 'addresses = "sandbox.json"'),
        ('spot_url = "https://api.kraken.com"', 'spot_url = "https://api.kraken.com"\naddresses = "sandbox.json"'),
    ],
)
def test_a_venue_without_an_address_or_with_two_is_refused(profiles, old, new):
    spoil(profiles, old, new)
    with pytest.raises(SetupFailed, match="either spot_url and futures_url, or addresses"):
        load_settings("paper")


def test_a_venue_is_a_host_without_a_path(profiles):
    spoil(profiles, "https://api.kraken.com", "https://api.kraken.com/0")
    with pytest.raises(SetupFailed, match=r"venues\.kraken\.spot_url"):
        load_settings("paper")
