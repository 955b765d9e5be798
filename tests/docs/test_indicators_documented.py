"""docs/indicators.md lists every indicator, with its numbers, its columns and its warm-up."""

import re
from pathlib import Path

import pytest

from trading.indicators.families import FAMILIES
from trading.indicators.needs import parse_need

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "indicators.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)\(([a-z_, ]*)\)` \| ([^|]+) \| ([^|]+) \|", TEXT, re.MULTILINE)
EXAMPLES = {
    "macd": "macd(12, 26, 9)", "bollinger": "bollinger(20, 2)", "stochastic": "stochastic(14, 3, 3)",
    "supertrend": "supertrend(10, 3)", "obv": "obv()", "vwap": "vwap()", "volatility": "volatility(14, 96)",
    "sma": "sma(20)", "ema": "ema(20)",
}  # fmt: skip


def test_lists_every_indicator_once():
    assert [name for name, *_ in ROWS] == list(FAMILIES)


@pytest.mark.parametrize(("name", "numbers", "columns", "silent"), ROWS, ids=[row[0] for row in ROWS])
def test_says_what_it_takes_and_gives(name, numbers, columns, silent):
    need = parse_need(EXAMPLES.get(name, f"{name}(14)"))
    family = FAMILIES[name]
    assert numbers == ", ".join(number.name for number in family.numbers)
    assert re.findall(r"`([^`]+)`", columns) == list(need.columns)
    if silent.strip() != "a first day that began before the series":
        formula = silent.replace("2 period", "2 * period")
        named = {number.name: value for number, value in zip(family.numbers, need.numbers, strict=True)}
        assert eval(formula, {}, named) == need.warm_up  # our own text
