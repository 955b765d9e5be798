"""The verdict in words: plain when it lost, careful when it won."""

import pytest

from reports import wording
from trading.model import DAY_US


@pytest.mark.parametrize(
    ("win_usd", "expected"),
    [
        (-800.25, "Lost 4.00 % in 2.5 days."),
        (1_000.0, "Made 5.00 % in 2.5 days."),
        (0.0, "Ended where it began, after 2.5 days."),
    ],
)
def test_the_headline_says_what_happened(make_view, win_usd, expected):
    assert wording.headline(make_view(win_usd=win_usd)) == expected


def test_the_findings_name_costs_holding_and_too_few_trades(make_view):
    assert wording.findings(make_view()) == (
        "5 trades, 0.0 % won; the average trade lost 1.10 R.",
        "Costs took 52.92 USD; before them it lost 3,948.33 USD.",
        "Holding BTC/USD and ETH/USD in equal parts, without costs, made 2.01 %.",
        "5 trades: too few to tell skill from luck.",
    )


def test_enough_trades_need_no_excuse_and_a_wiped_out_account_is_named(make_view):
    found = wording.findings(make_view(trade_count=30, candle_count=400, win_usd=-4_000.0))
    assert "The account was wiped out; a venue would have liquidated it earlier." in found
    assert not any("too few" in sentence for sentence in found)


def test_costs_of_nothing_are_pointed_out(make_view):
    free = make_view().metrics._replace(fees_usd=0.0, slippage_usd=0.0, spread_usd=0.0, funding_usd=0.0)
    assert "No costs were charged: real trading has them." in wording.findings(make_view(metrics=free))


def test_funding_that_pays_for_everything_is_pointed_out(make_view):
    paid = make_view().metrics._replace(fees_usd=10.0, slippage_usd=0.0, spread_usd=0.0, funding_usd=-40.0)
    said = "Funding brought 40.00 USD, more than all costs together."
    assert said in wording.findings(make_view(metrics=paid))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (wording.usd(-1234.5), "−1,234.50"),
        (wording.usd(-0.001), "0.00"),
        (wording.signed_usd(0.001), "0.00"),
        (wording.signed_usd(12.0, 0), "+12"),
        (wording.signed_percent(-3.456), "−3.46 %"),
        (wording.percent(None), "–"),
        (wording.risk_multiple(0.5), "+0.50 R"),
        (wording.duration(None), "–"),
        (wording.duration(45 * DAY_US), "45 days"),
        (wording.duration(DAY_US // 16), "1.5 h"),
        (wording.duration(DAY_US // 96), "15 min"),
        (wording.count(1, "trade"), "1 trade"),
        (wording.tone(None), "even"),
    ],
)
def test_numbers_read_well(text, expected):
    assert text == expected


def test_many_instruments_are_counted_not_listed(make_view):
    view = make_view(instruments=tuple(f"{letter}/USD" for letter in "ABCDE"))
    assert any("Holding all 5 instruments in equal parts" in sentence for sentence in wording.findings(view))
