"""The report of a venue check: everything that was found, for people and for programs."""

import json

from ops.venue.check import Findings, Found
from ops.venue.report import Circumstances, show_findings, write_report
from ops.venue.shapes import Difference

WHEN = Circumstances("2026-11-23T08:00:00Z", "api.kraken.com", "0.1.0 (abc)")
FINDINGS = Findings(
    questions=23,
    differences=(
        Found("spot OHLC", Difference("result.*[][4]", "other type", "number", "string")),
        Found("futures tickers", Difference("tickers[].a|b", "missing in sandbox", "null or number", "")),
    ),
    uncompared=(Found("spot AssetPairs", Difference("result.*.fees[]", "nothing in sandbox", "array", "")),),
    unanswered=(("spot Time", "spot Time: HTTP 503. Ask again later."),),
)


def test_the_page_has_a_table_of_differences_and_what_could_not_be_compared(tmp_path):
    text = write_report(FINDINGS, WHEN, tmp_path / "check").read_text()
    assert text.startswith("# Venue check of 2026-11-23T08:00:00Z\n")
    assert "api.kraken.com and the sandbox of 0.1.0 (abc): 23 questions, 1 without an answer, 2 differences." in text
    assert "| spot OHLC | `result.*[][4]` | other type | number | string |" in text
    assert "| futures tickers | `tickers[].a\\|b` | missing in sandbox | null or number |  |" in text
    assert text.index("## Not compared") < text.index("`result.*.fees[]`") < text.index("## Without an answer")
    assert "- spot Time: spot Time: HTTP 503." in text


def test_programs_find_the_same(tmp_path):
    write_report(FINDINGS, WHEN, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["code"] == 2
    assert report["checked_at"] == WHEN.checked_at
    assert report["differences"][0] == {
        "question": "spot OHLC", "path": "result.*[][4]", "finding": "other type", "venue": "number",
        "sandbox": "string",
    }  # fmt: skip
    assert [len(report[part]) for part in ("differences", "uncompared", "unanswered")] == [2, 1, 1]


def test_the_differences_are_printed_as_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    show_findings(FINDINGS, tmp_path / "report.md")
    text = capsys.readouterr().out
    assert "spot OHLC" in text
    assert "result.*[][4]" in text
    assert "1 place could not be compared" in text
    assert text.rstrip().endswith("report.md")


def test_a_check_without_findings_says_so_in_a_sentence(tmp_path):
    text = write_report(Findings(23, (), (), ()), WHEN, tmp_path).read_text()
    assert text.endswith("23 questions, no difference.\n")
