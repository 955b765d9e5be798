"""On a machine that has no browser: nothing fails, and nobody is left in the belief that the pages were looked at."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import VARIABLE, executable

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_tests_of_pages_are_left_out_counted_and_said(tmp_path, processes):
    answer = looking_at_pages(processes, PATH=str(tmp_path))
    assert answer.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, answer.stdout
    assert re.search(r"^LEFT OUT: \d\d tests that look at pages in a browser\.", answer.stdout, re.MULTILINE)


def looking_at_pages(processes, **changes):
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | changes
    command = [sys.executable, "-m", "pytest", "-n", processes, TESTS / "reports" / "test_pages_in_chromium.py"]
    return subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, check=False)


def test_a_browser_that_is_named_must_be_there(monkeypatch):
    monkeypatch.setenv(VARIABLE, "no-such-browser")
    with pytest.raises(FileNotFoundError, match="SLIPWAY_BROWSER=no-such-browser: there is no such browser"):
        executable()
