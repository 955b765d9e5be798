"""The pages in a real browser: what they show, what they do when touched, and that they ask nobody for anything."""

from dataclasses import replace

import pytest
from looking import faint_texts, pixels, sticks_out_px
from test_comparison import run_of
from test_sweep_html import sweep_of

from reports.backtest import write_report
from reports.comparison import write_comparison
from reports.sweep_page import write_sweep

pytestmark = pytest.mark.xdist_group("browser")  # one for all


@pytest.fixture(scope="session")
def report(make_view, make_zones, tmp_path_factory):
    """Two months, thirty trades: shorts of BTC/USD and longs of ETH/USD in turn, half of them won."""
    view = make_view(
        candle_count=1_400, trade_count=30, win_usd=650.0, others_usd=-800.25,
        zones=make_zones((1,), (3, 5), (7,)), decisions={"entered": 30},
    )  # fmt: skip
    view = replace(view, candles=dict.fromkeys(view.candles, view.candles["BTC/USD"]))  # all at one price
    return write_report(view, tmp_path_factory.mktemp("pages") / "report.html")


@pytest.fixture(scope="session")
def comparison(tmp_path_factory):
    bounds = {"net_profit_usd_low": -58_100.25, "net_profit_usd_high": -24_438.48}
    runs = [run_of("a" * 16, **bounds), run_of("b" * 16, {"risk": "2"}, sharpe=2.0, **bounds)]
    return write_comparison(runs, tmp_path_factory.mktemp("pages") / "comparison.html")


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    return write_sweep(sweep_of(), tmp_path_factory.mktemp("pages") / "sweep.html")


@pytest.fixture(params=["report", "comparison", "sweep"])
def page(request):
    return request.getfixturevalue(request.param)


def test_a_page_complains_of_nothing_and_asks_for_nothing_but_itself(browser, page):
    tab = browser.open(page)
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]


def test_what_goes_wrong_in_a_page_is_heard(browser, tmp_path):
    page = tmp_path / "wrong.html"
    page.write_text(
        '<img src="http://127.0.0.1:9/a.png"><script>console.error("so"); throw new Error("it is")</script>'
    )
    tab = browser.open(page)
    assert tab.requests == [page.as_uri(), "http://127.0.0.1:9/a.png"]
    assert any("so" in complaint for complaint in tab.complaints)
    assert any("it is" in complaint for complaint in tab.complaints)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read_and_nothing_sticks_out_of_a_phone(browser, page, dark):
    tab = browser.open(page, width=390, height=844, dark=dark)
    assert sticks_out_px(tab) == 0
    assert faint_texts(tab) == []
    brightness = sum(tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")) / 3
    assert (brightness < 60) == dark


def test_equity_and_candles_are_painted(browser, report):
    tab = browser.open(report)
    for selector, colour in (
        ("#equity", "gain"), ("#equity", "loss"), ("#equity", "held"), ("#candles", "gain"), ("#candles", "ema_20"),
    ):  # fmt: skip
        assert len(pixels(tab, selector, colour)) > 100, (selector, colour)


def test_a_click_on_a_row_shows_its_trade_on_the_chart(browser, report):
    tab = browser.open(report)
    assert not pixels(tab, "#candles", "long")  # BTC/USD is shown, of which there are shorts only
    tab.click('tr[data-trade="8"]')
    assert tab.text("#chosen").startswith("#8 long ETH/USD in 2023-01-03 23:00 at 101.25, stop 99.00, target 105.50;")
    assert tab.text('#instruments [aria-pressed="true"]') == "ETH/USD"
    assert tab.text('tr[aria-selected="true"]').startswith("8\tETH/USD")
    marks = pixels(tab, "#candles", "long")
    assert len(marks) > 30
    assert time_under(tab, sum(x for x, _ in marks) / len(marks)).startswith("2023-01-03 ")


def test_an_address_with_a_trade_in_it_brings_that_trade_into_sight(browser, report):
    tab = browser.open(report, fragment="#trade-3")
    assert tab.text("#chosen").startswith("#3 short BTC/USD in 2023-01-01 21:00 at 101.25")
    assert pixels(tab, "#candles", "short")
    top, bottom, height = tab.value(
        "(({ top, bottom }) => [top, bottom, innerHeight])(document.getElementById('candles').getBoundingClientRect())"
    )
    assert 0 <= top < bottom <= height


def test_a_click_on_a_mark_chooses_its_trade(browser, report):
    tab = browser.open(report, fragment="#trade-5")
    tab.click_at(*max(pixels(tab, "#candles", "short")))
    assert tab.text("#chosen").startswith("#11 short BTC/USD")
    assert tab.text('tr[aria-selected="true"]').startswith("11\tBTC/USD")
    assert tab.value("location.hash") == "#trade-11"


def test_the_arrow_keys_go_through_the_trades(browser, report):
    tab = browser.open(report, fragment="#trade-5")
    tab.press("ArrowRight")
    assert tab.text("#chosen").startswith("#6 long ETH/USD")
    tab.press("ArrowLeft")
    tab.press("ArrowLeft")
    assert tab.text("#chosen").startswith("#4 long ETH/USD")


def test_buy_and_hold_is_taken_from_the_chart_and_put_back(browser, report):
    tab = browser.open(report)
    before = len(pixels(tab, "#equity", "held"))
    tab.click("#holding")
    assert len(pixels(tab, "#equity", "held")) < before / 10  # letters of the axes have such edges
    tab.click("#holding")
    assert len(pixels(tab, "#equity", "held")) == before


def test_months_and_costs_show_the_figures_of_the_run(browser, report):
    tab = browser.open(report)
    months = "[...document.querySelectorAll('.months td')].map(cell => cell.innerText)"
    assert tab.value(months) == ["−0.8", "0.0", *[""] * 10, "−0.8"]
    steps = """[...document.querySelectorAll('.step')].map((step) => {
        const { width } = step.querySelector('i').getBoundingClientRect();
        return [step.innerText.replace('\\n', ' '), width / step.querySelector('.track').clientWidth];
    })"""
    (before, before_long), *taken, (net, net_long) = tab.value(steps)
    assert (before, net) == ("Before costs −486.00", "Net −803.50")
    assert [text for text, _ in taken] == ["Fees −303.75", "Spread −7.50", "Slippage −10.00", "Funding +3.75"]
    lengths = [-length if "+" in text else length for text, length in taken]  # what was received leads back
    assert net_long == pytest.approx(before_long + sum(lengths), abs=0.01)
    assert before_long == pytest.approx(486.00 / 803.50, abs=0.01)


def test_the_table_is_filtered_and_sorted(browser, report):
    tab = browser.open(report)
    heads, *rows = table(tab)
    assert len(rows) == 30
    side, net = heads.index("Side"), heads.index("Net, USD")
    tab.value("document.querySelector('[aria-label=Side]').focus()")
    tab.press("ArrowDown")
    tab.click(f"#trades th:nth-child({net + 1}) button")
    _, *rows = table(tab)
    assert {row[side] for row in rows} == {"long"}
    assert [row[net] for row in rows] == ["+650.00"] * 8 + ["−800.25"] * 7
    assert tab.text("#shown") == "15 of 30"


def test_runs_side_by_side_are_lines_of_their_colours(browser, comparison):
    tab = browser.open(comparison)
    for colour in ("run_0", "run_1"):
        assert len(pixels(tab, "#growth", colour)) > 100, colour


def test_the_figures_of_two_runs_are_seen_on_a_phone_at_once(browser, comparison):
    tab = browser.open(comparison, width=390, height=844)
    assert (
        tab.value("(box => box.scrollWidth - box.clientWidth)(document.querySelector('.scroll:has(.compared)'))") == 0
    )


def test_the_map_of_two_other_parameters_takes_the_place_of_the_first(browser, sweep):
    tab = browser.open(sweep)
    captions = (
        "[...document.querySelectorAll('.map')].filter(map => map.checkVisibility()).map(map => map.caption.innerText)"
    )
    assert tab.value(captions) == ["Sharpe by bars, across, and stop, down"]
    tab.value("document.getElementById('map-choice').focus()")
    tab.press("ArrowDown")
    assert tab.value(captions) == ["Sharpe by bars, across, and side, down"]


def test_the_growth_of_the_best_sets_is_drawn(browser, sweep):
    tab = browser.open(sweep)
    for colour in ("run_0", "run_1", "run_2"):
        assert len(pixels(tab, "#growth", colour)) > 100, colour


def table(tab):
    """Of the trades: the headings, then the rows."""
    return tab.value(
        "[...document.querySelectorAll('#trades tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    )


def time_under(tab, x):
    """The candle that the legend tells of when the mouse is over it."""
    y = tab.value("(({ top, height }) => top + height / 2)(document.getElementById('candles').getBoundingClientRect())")
    tab.point_at(x, y)
    return tab.text("#candles-legend")
