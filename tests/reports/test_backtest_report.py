"""One file, offline, honest, and safe with whatever is in the names."""

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports import backtest, html
from reports.backtest import render, write_report
from trading.metrics.trades import NO_TRADES

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Elements, attributes and texts, and whether every element that opens also closes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.text += data


def test_the_page_holds_every_part(make_view):
    page = Page(render(make_view(decisions={"entered": 5, "in_position": 2})))
    for words in (
        "EMA cross", "2023-01-01 01:00 to 2023-01-03 12:00 UTC", "Lost 4.00 % in 2.5 days.", "0.0 % won",
        "Max drawdown",
        "What this result assumes", "No funding is paid.", "1 of 5 trades (20.0 %) are ambiguous", "Kraken archive",
        "Monthly returns", "−4.0", "Before costs", "−3,948.33", "What became of 7 signals", "in position", "select 1",
        "slipway backtest sql/marts/signals_ema_cross.sql", "3f9a1c5b", "aa11", "2023-07-01 12:30 UTC",
        "risk per trade",
    ):  # fmt: skip
        assert words in page.text, words
    assert len(page.scripts) == 3


def test_who_had_the_room_that_others_found_taken_is_named(make_view):
    lost_to = {"BTC/USD": 2, "ETH/USD": 3}
    text = Page(render(make_view(decisions={"entered": 5, "max_positions": 6}, lost_to=lost_to))).text
    assert "that 5 signals found taken went to a higher rank at the same close: ETH/USD 3, BTC/USD 2." in text
    many = Page(render(make_view(decisions={"entered": 5}, lost_to={f"{n}": 9 - n for n in range(8)}))).text
    assert "close: 0 9, 1 8, 2 7, 3 6, 4 5, others 9." in many
    assert "higher rank" not in Page(render(make_view(decisions={"entered": 5}))).text


def test_the_colours_of_zones_are_explained_where_there_are_zones(make_view, make_zones):
    page = Page(render(make_view(zones=make_zones((1,), (2, 3), (5,)))))
    assert "Zones that entries came back to:bullish order blockbearish fair value gappaler until" in page.text
    assert "bearish order block" not in page.text
    assert ("div", "id", "zones") in page.attributes


def test_without_zones_nothing_is_said_of_them(make_view):
    page = Page(render(make_view()))
    assert "ones that" not in page.text
    assert ("div", "id", "zones") not in page.attributes


def test_the_result_is_told_by_instrument_side_exit_and_hour(make_view):
    text = Page(render(make_view())).text
    assert "BTC/USD30.0 %" + "−2,4010.00−1.10" in text
    assert "long20.0 %−1,600" in text
    assert "stop50.0 %−4,001" in text
    for hour in ("01:00", "11:00", "21:00", "07:00", "17:00"):
        assert f"{hour}10.0 %" in text


def test_a_figure_says_how_sure_it_is_where_that_can_be_known(make_view):
    text = Page(render(make_view(trade_count=40, candle_count=24 * 45))).text
    assert re.search(r"USD, from 100,00095 %: −[\d,]+ to −[\d,]+", text)
    assert "USD a trade95 %: −1.10 to −1.10 R" in text
    assert "lies the figure in 95 of 100 of 1,000 histories drawn from this one: its days in blocks of 4" in text
    assert "95 %" not in Page(render(make_view())).text


def test_each_trade_is_a_dot_in_the_colour_of_its_result(make_view):
    lost = render(make_view())
    assert (dots(lost, "loss"), dots(lost, "gain")) == (4, 0)  # one of the five had no stop
    assert "Of 4 losing trades, 0 % were once a full R ahead." in Page(lost).text
    won = render(make_view(win_usd=50.0))
    assert (dots(won, "loss"), dots(won, "gain")) == (0, 4)
    assert "The median winning trade was 1.20 R behind at its worst." in Page(won).text
    many = render(make_view(trade_count=6_001, win_usd=50.0))
    assert 1_000 < dots(many, "gain") <= 2_000


def test_trades_without_a_stop_are_no_dots(make_view):
    one = make_view(trade_count=1)
    assert 'class="scatter"' not in render(one)


def dots(page: str, tone: str) -> int:
    (path,) = re.findall(rf'<path class="dots {tone}" d="([^"]*)"/>', page)
    return path.count("h0")


def test_nothing_is_loaded_from_anywhere(make_view):
    text = render(make_view())
    page = Page(text)
    loading = {"src", "href", "data", "srcset", "action", "poster", "background"}
    addresses = [(tag, value) for tag, name, value in page.attributes if name in loading]
    assert addresses == [("link", "data:,"), ("a", "https://www.tradingview.com/")]
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    own = page.scripts[2]
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import)\b", own)


def test_the_browser_is_told_to_run_these_scripts_and_to_load_nothing(make_view):
    page = Page(render(make_view()))
    policies = [value for tag, name, value in page.attributes if tag == "meta" and "script-src" in value]
    assert policies == [html.policy(*page.scripts[1:])]
    assert policies[0].startswith("default-src 'none';")


@pytest.mark.parametrize("field", ["title", "strategy", "strategy_sql", "command", "run_id", "timeframe"])
def test_text_from_outside_stays_text(make_view, field):
    evil = "</script><script>alert(1)</script>'\"<img src=x onerror=alert(1)>&lt; $title ${x}"
    page = Page(render(make_view(**{field: evil})))
    assert evil in page.text
    assert len(page.scripts) == 3


def test_sentences_names_and_numbers_from_outside_stay_text_too(make_view):
    evil = "<b onclick=alert(1)>"
    page = Page(
        render(
            make_view(
                instruments=(evil,), assumptions=(evil,), data_sources=(evil,), configuration=((evil, evil),),
                hashes={evil: evil}, decisions={evil: 1}, lost_to={evil: 1},
            )
        )
    )  # fmt: skip
    assert page.text.count(evil) >= 8
    assert "onclick" not in {name for _, name, _ in page.attributes}


def test_our_own_script_writes_text_and_never_markup():
    for name in backtest.SCRIPTS:
        script = (html.HERE / "page" / name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script), name


def test_the_same_view_gives_the_same_bytes(make_view, tmp_path):
    first, second = write_report(make_view(), tmp_path / "a.html"), write_report(make_view(), tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()


def test_no_trades_one_instrument_and_no_candles_make_a_page_too(make_view):
    empty = make_view(instruments=("BTC/USD",), trade_count=0)
    assert "No trade was made." in Page(render(empty)).text
    assert "ambiguous:" not in Page(render(empty)).text
    bare = make_view(candles={}, trades=empty.trades, equity=empty.equity.clear(), metrics=empty.metrics)
    assert "no candles" in Page(render(bare)).text
    assert NO_TRADES.net_pnl_usd.size == empty.metrics.trades == 0


def test_a_report_is_written_whole_or_not_at_all(make_view, tmp_path, monkeypatch):
    path = tmp_path / "deep" / "report.html"
    assert write_report(make_view(), path) == path
    before = path.read_bytes()

    def full_disk(self: Path, *_args: object, **_options: object) -> int:
        self.touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_report(make_view(title="Another"), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_vendored_library_is_the_one_its_provenance_names():
    vendor = html.HERE / "vendor"
    digest = hashlib.sha256((vendor / "lightweight-charts.js").read_bytes()).hexdigest()
    assert digest in (vendor / "PROVENANCE.md").read_text(encoding="utf-8")
    assert "</script" not in (vendor / "lightweight-charts.js").read_text(encoding="utf-8").lower()
    assert "Apache License" in (vendor / "LICENSE").read_text(encoding="utf-8")


def test_the_page_carries_the_notice_its_chart_library_asks_for(make_view):
    text = render(make_view())
    assert "TradingView Lightweight Charts™, Copyright © 2025 TradingView, Inc." in text
    assert "attributionLogo" not in "".join((html.HERE / "page" / name).read_text() for name in backtest.SCRIPTS)
