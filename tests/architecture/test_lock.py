"""The locks pin every package with hashes and name no address; ours agrees with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PEERS = ROOT / "benchmarks" / "peers"
LOCKS = {file.name: file.read_text(encoding="utf-8") for file in [ROOT / "requirements.lock", *PEERS.glob("*.lock")]}


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_every_package_is_pinned_with_a_hash(name):
    blocks = re.split(r"\n(?=\S)", LOCKS[name].strip())
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", block), block
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_no_address_stands_in_the_lock(name):
    assert not re.search(r"https?:|index-url|find-links|file:", LOCKS[name])


def test_every_peer_is_locked_in_the_version_that_is_wanted():
    for wanted in PEERS.glob("*.in"):
        first = wanted.read_text(encoding="utf-8").splitlines()[0]
        pinned = first.replace("_", "-")
        assert re.search(rf"^{re.escape(pinned)}\b", LOCKS[f"{wanted.stem}.lock"], flags=re.MULTILINE), first


def test_every_dependency_of_the_project_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [name for group in project["optional-dependencies"].values() for name in group]
    locked = {re.split(r"==", line)[0].lower() for line in LOCK.splitlines() if re.match(r"[A-Za-z]", line)}
    for requirement in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", requirement).group().lower()
        assert name in locked, f"{name} is not in requirements.lock: make lock"


def test_duckdb_its_cli_and_its_extensions_are_one_version():
    versions = set(re.findall(r"^duckdb(?:-cli|-extension-[a-z-]+)?==(\S+)", LOCK, flags=re.MULTILINE))
    assert len(versions) == 1, versions
