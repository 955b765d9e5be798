"""The run as a picture and as Markdown."""

import base64
import re
import subprocess
import sys

from reports.pictures import equity_png, summary_markdown

PNG = b"\x89PNG\r\n\x1a\n"


def test_the_picture_is_a_png_and_the_same_each_time(make_view):
    picture = equity_png(make_view())
    assert picture.startswith(PNG)
    assert picture == equity_png(make_view())
    assert len(picture) < 400_000


def test_titles_with_signs_of_mathematics_and_empty_runs_are_drawn_too(make_view):
    assert equity_png(make_view(title="cost $5 & $_^", trade_count=0)).startswith(PNG)
    assert equity_png(make_view(instruments=("BTC/USD",), win_usd=500.0)).startswith(PNG)


def test_the_summary_holds_verdict_picture_numbers_and_assumptions(make_view):
    text = summary_markdown(make_view(), b"picture")
    assert "**Lost 4.00 % in 2.5 days.**" in text
    assert "| Return | −4.00 % |" in text
    assert "- No funding is paid." in text
    uri = re.search(r"\(data:image/png;base64,([^)]+)\)", text)
    assert uri
    assert base64.b64decode(uri[1]) == b"picture"


def test_the_summary_says_how_sure_its_figures_are(make_view):
    text = summary_markdown(make_view(trade_count=40, candle_count=24 * 45), b"")
    assert "| Expectancy | −1.10 R (95 %: −1.10 to −1.10 R) |" in text
    assert "95 %" not in summary_markdown(make_view(), b"")


def test_names_cannot_break_out_of_the_markdown(make_view):
    text = summary_markdown(make_view(title="a | b <script> [x](y)"), b"")
    assert text.startswith("# a \\| b \\<script\\> \\[x\\](y)\n")


def test_importing_the_reports_does_not_import_matplotlib():
    program = "import sys, reports.backtest, reports.pictures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
