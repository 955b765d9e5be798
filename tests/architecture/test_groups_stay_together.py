"""Tests that share a Prefect server or a compiler run in one process. pytest 9.2 broke that without a word."""

import subprocess
import sys

MODULE = """
import os, pathlib, pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_says_where_it_ran(number):
    pathlib.Path("ran").open("a").write(f"{os.getpid()}\\n")
"""


def test_a_group_of_tests_runs_in_one_process(tmp_path):
    (tmp_path / "test_group.py").write_text(MODULE)
    command = (sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider")
    subprocess.run((*command, "test_group.py"), cwd=tmp_path, check=True, capture_output=True, timeout=120)
    ran = (tmp_path / "ran").read_text().split()
    assert (len(ran), len(set(ran))) == (8, 1)
