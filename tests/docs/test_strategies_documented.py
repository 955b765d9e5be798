"""docs/strategies.md: the list is what the headers say, and its reader's first strategy works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT
from docs.strategy_list import DOCUMENT, document
from ops.cli import main

TEXT = DOCUMENT.read_text("utf-8")


def test_the_list_is_up_to_date():
    assert document(TEXT) == TEXT, "run `make docs`"


@pytest.mark.xdist_group("heavy")
def test_the_readers_first_strategy_is_found_clean_and_trades(home, tmp_path, monkeypatch, capsys):
    (sql,) = re.findall(r"^```sql\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    (name,) = re.findall(r"^Save this as `(\w+\.sql)`", TEXT, flags=re.MULTILINE)
    (tmp_path / name).write_text(sql, "utf-8")
    monkeypatch.chdir(tmp_path)
    for command in re.findall(rf"^\$ slipway (\w+ {name}.*)$", TEXT, flags=re.MULTILINE):
        assert main([*command.split(), "--instrument", "BTC/USD"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    (trades,) = re.findall(r"trades +(\d+)", said)
    assert int(trades) > 0


@pytest.mark.xdist_group("heavy")
def test_why_there_is_no_trade_today_is_a_query(home):
    (query,) = re.findall(r'^\$ slipway sql -c "(select rejection.*)"$', TEXT, flags=re.MULTILINE)
    told = subprocess.run(
        [Path(sys.executable).with_name("slipway"), "sql", "-c", query],
        env={**os.environ, "SLIPWAY_HOME": str(home)}, capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    assert "bias of the day" in told.stdout


def test_every_strategy_is_named_with_what_may_be_set():
    for file in sorted((ROOT / "sql" / "marts").glob("signals_*.sql")):
        params = re.findall(r"^-- param: (\w+)", file.read_text("utf-8"), flags=re.MULTILINE)
        _, _, section = TEXT.partition(f"### {file.stem}\n")
        listed = re.findall(r"^\| `(\w+)` \|", section.partition("### ")[0], flags=re.MULTILINE)
        assert listed == params
