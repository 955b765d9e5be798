"""Thresholds of the universe: none has a default, and lists that contradict each other are refused (I23)."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from config.settings import Universe, load_settings

GOOD = {"quotes": ["USD"], "min_volume_24h_usd": "1", "max_spread_bps": "1", "include": ["A/USD"], "exclude": ["B/USD"]}


def test_the_shipped_thresholds_are_exact_numbers():
    shipped = load_settings().universe
    assert (shipped.min_volume_24h_usd, shipped.max_spread_bps) == (Decimal(1_000_000), Decimal(10))


@pytest.mark.parametrize("name", GOOD)
def test_none_has_a_default(name):
    with pytest.raises(ValidationError, match=f"{name}\n  Field required"):
        Universe.model_validate({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exclude": ["B/USD", "A/USD"]}, r"universe.include and universe.exclude both name \['A/USD'\]"),
        ({"max_spread_bps": "0"}, "max_spread_bps"),
        ({"min_volume_24h_usd": "-1"}, "min_volume_24h_usd"),
        ({"quotes": []}, "quotes"),
    ],
    ids=["in and out", "no spread", "less than no volume", "no quote"],
)
def test_nonsense_is_refused(change, said):
    with pytest.raises(ValidationError, match=said):
        Universe.model_validate({**GOOD, **change})
