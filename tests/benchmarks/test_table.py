"""The bench table: what it calls a failure, and its stable file format."""

import json

from benchmarks.table import against, alone, at_least, regressions, write


def test_a_ratio_beyond_its_bar_is_not_ok():
    assert against("a", 50.0, 10.0, "s", bar=5.0).ok
    assert not against("a", 51.0, 10.0, "s", bar=5.0).ok
    assert not alone("memory", 3.0, "GiB", bar=2.0).ok
    assert alone("shown", 3.0, "s").ok


def test_what_more_is_better_of_has_a_lowest_value():
    assert at_least("rate", 3.0, "frames/s", bar=3.0).ok
    assert not at_least("rate", 2.9, "frames/s", bar=3.0).ok


def test_the_file_has_the_agreed_keys(tmp_path):
    write([against("a", 2.0, 1.0, "s", bar=5.0)], tmp_path / "deep" / "bench.json")
    table = json.loads((tmp_path / "deep" / "bench.json").read_text())
    assert table == {"a": {"value": 2.0, "unit": "s", "baseline": 1.0, "ratio": 2.0, "bar": 5.0, "ok": True}}


def test_a_regression_and_a_measurement_that_vanished_are_named():
    measured = {"slower": {"ratio": 4.0}, "same": {"ratio": 1.1}}
    found = regressions(measured, {"slower": 2.0, "same": 1.0, "gone": 1.0})
    assert [line.split(":")[0] for line in found] == ["slower", "gone"]
