"""The same inputs have one name, other inputs another."""

import importlib.metadata

import numpy as np
import pytest

import tasks.provenance
from config.settings import load_settings
from exchange import compiling
from tasks.provenance import code_version, engine_hash, settings_hash, table_hash, text_hash


def test_text_hashes_keep_their_borders():
    assert text_hash("ab", "c") != text_hash("a", "bc") != text_hash("abc")
    assert text_hash("é") == text_hash("é")


def test_tables_of_the_same_bytes_and_other_shapes_differ():
    table = np.arange(6)
    assert table_hash([table.reshape(2, 3)]) != table_hash([table.reshape(3, 2)])
    assert table_hash([table.reshape(2, 3).T.T]) == table_hash([table.reshape(2, 3)])


def test_only_what_changes_a_decision_changes_the_settings_hash(monkeypatch, tmp_path):
    before = load_settings()
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    moved = load_settings()
    assert moved.paths != before.paths
    assert settings_hash(moved) == settings_hash(before)
    cheaper = before.costs.model_copy(update={"slippage_bps": before.costs.slippage_bps + 1})
    assert settings_hash(before.model_copy(update={"costs": cheaper})) != settings_hash(before)


def test_a_limit_that_is_off_leaves_the_settings_hash_as_it_was_before_there_was_one(monkeypatch):
    with_it = load_settings()
    monkeypatch.setattr(tasks.provenance, "ADDED_LIMITS", set())
    known_from_the_start = settings_hash(with_it)
    monkeypatch.undo()
    off = settings_hash(with_it)
    assert off != known_from_the_start
    on = with_it.risk.model_copy(update={"max_holding_minutes": 60})
    assert settings_hash(with_it.model_copy(update={"risk": on})) != off


def test_a_checkout_without_git_has_the_version_of_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks.provenance, "ROOT", tmp_path)
    code_version.cache_clear()
    try:
        assert code_version() == importlib.metadata.version("slipway")
    finally:
        code_version.cache_clear()


@pytest.mark.parametrize("name", ["trading/rules/exits.py", "exchange/simulator.py", "tasks/results.py"])
def test_a_line_of_the_engine_is_another_engine_committed_or_not(monkeypatch, tmp_path, name):
    for file in ("trading/rules/exits.py", "exchange/simulator.py", *tasks.provenance.ROWS_ARE_MADE_BY):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("before")
    monkeypatch.setattr(tasks.provenance, "ROOT", tmp_path)
    monkeypatch.setattr(compiling, "ROOT", tmp_path)
    before = engine_hash.__wrapped__()
    assert engine_hash.__wrapped__() == before
    (tmp_path / name).write_text("after")
    assert engine_hash.__wrapped__() != before


@pytest.mark.parametrize("arguments", [("no-such-command",), ("rev-parse", "--verify", "no-such-ref")])
def test_git_that_fails_says_nothing(arguments):
    assert tasks.provenance._git(*arguments) == ""
