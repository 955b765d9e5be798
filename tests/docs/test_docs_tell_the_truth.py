"""Documents that lie fail the build: links, files, commands and settings they name exist."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
# What a run makes, and what later work will make: named in documents before it is in the tree.
MADE = (".slipway/", "warehouse/slipway.duckdb", "data/inbox", ".venv")
FOLDERS = r"(?:benchmarks|config|data|docs|exchange|flows|ops|reports|sql|tasks|tests|trading|warehouse)"


def ids(path):
    return path.relative_to(ROOT).as_posix()


def without_code_blocks(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_relative_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", without_code_blocks(document.read_text("utf-8")))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_file_that_is_named_exists(document):
    text = without_code_blocks(document.read_text("utf-8"))
    named = re.findall(rf"`({FOLDERS}/[\w./-]+?\.(?:py|sql|toml|md|csv|html))(?::[^`]*)?`", text)
    missing = [name for name in named if not name.startswith(MADE) and not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_make_target_that_is_named_exists(document):
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ |^)make ([a-z][a-z-]*)", document.read_text("utf-8"), flags=re.MULTILINE))
    assert named <= targets, named - targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_command_that_is_named_exists(document):
    commands = commands_offered()
    named = set(re.findall(r"(?:`|\$ |^)slipway ([a-z][a-z-]*)", document.read_text("utf-8"), flags=re.MULTILINE))
    assert commands >= {"run", "backtest", "sql"}
    assert named <= commands, named - commands


@cache
def commands_offered():
    slipway = Path(sys.executable).with_name("slipway")
    offered = subprocess.run([slipway, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^    ([a-z][a-z-]*) ", offered, flags=re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_no_place_is_left_to_be_filled(document):
    assert not re.findall(r"@[A-Z]+@", document.read_text("utf-8"))


def test_every_setting_is_documented():
    described = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for profile in sorted((ROOT / "config").glob("*.toml")):
        for section, keys in tomllib.loads(profile.read_text("utf-8")).items():
            for key in keys:
                name = f"instruments.{key}" if section == "instruments" else f"{section}.{key}"
                assert section == "instruments" or f"`{name}`" in described, f"{name} is not in docs/settings.md"


def test_every_line_of_the_roadmap_names_its_file_and_its_test():
    text = (ROOT / "docs" / "roadmap.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| P")
    ]
    numbers = [row[0] for row in rows]
    expected = (
        [f"P2.{n}" for n in range(1, 6)]
        + [f"P3.{n}" for n in range(1, 7)]
        + [f"P4.{n}" for n in range(1, 9)]
        + [f"P5.{n}" for n in range(1, 7)]
    )
    assert [number for number in numbers if number != "P1"] == expected
    for number, _, files, tests, state in rows:
        assert re.split(r"\W", state)[0] in {"done", "partly", "planned"}, f"{number}: {state}"
        if not state.startswith("planned"):
            for name in re.findall(r"`([^`]+)`", f"{files} {tests}"):
                assert (ROOT / name).exists(), f"{number} names {name}"
            assert "`" in files, f"{number} is called {state} and names no file"
            assert "`tests/" in tests, f"{number} is called {state} and names no test"


def test_every_decision_has_a_number_and_a_title():
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [name[:4] for name in names] == [f"{n:04d}" for n in range(1, len(names) + 1)]
    for name in names:
        assert (ROOT / "docs" / "decisions" / name).read_text("utf-8").startswith(f"# {name[:4]} · ")
