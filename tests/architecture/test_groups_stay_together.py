"""Tests that share a server, machine code or a sandbox run in one process. pytest 9.2 broke that without a word."""

import os
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
    options = ("-p", "xdist", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup", "test_group.py")
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the other plugins take longer to load
    command = (sys.executable, "-m", "pytest", *options)
    subprocess.run(command, cwd=tmp_path, env=alone, check=True, capture_output=True, timeout=120)
    ran = (tmp_path / "ran").read_text().split()
    assert (len(ran), len(set(ran))) == (8, 1)
