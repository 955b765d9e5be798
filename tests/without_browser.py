"""On a machine without a browser the tests that look at pages with one are left out, counted, and said at the end.

Why: docs/decisions/0016-pages-are-looked-at.md. One that is named, as CI does, must be there.
"""

import os
from typing import Any

import pytest
from chromium import VARIABLE, executable

LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    looking = [item for item in items if "browser" in getattr(item, "fixturenames", ())]
    if looking and not os.environ.get(VARIABLE) and executable() is None:
        config.hook.pytest_deselected(items=looking)
        items[:] = [item for item in items if item not in looking]
        config.stash[LEFT_OUT] = len(looking)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells how many they were; all collect the same."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"LEFT OUT: {left_out} tests that look at pages in a browser. There is no Chromium on the PATH; "
            f"{VARIABLE}=<path> names one.",
            yellow=True,
            bold=True,
        )
