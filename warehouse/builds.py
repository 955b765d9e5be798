"""Stages -> tables: all anew, or only what changed. Both end in the same rows.

A stage whose text, parameters and inputs are what they were is left alone. Otherwise a full build makes it anew; an
incremental one computes new rows and writes those that differ, from slices of the inputs when the lookback says how
far back a row looks and every input can tell since when it changed, else from the whole inputs.

Everything happens in the caller's transaction: an error leaves the warehouse as it was.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import duckdb

from trading.errors import InputUnusable
from warehouse import ledger
from warehouse.changes.portions import by_instrument
from warehouse.changes.slices import Slices, counted, reading
from warehouse.changes.sources import candles_changed, lies_in_files
from warehouse.changes.unchecked import note_changed
from warehouse.features.written import AsBefore
from warehouse.features.written import Kind as TableKind
from warehouse.gate.clearance import note_built
from warehouse.grammar.parameters import parameters_set
from warehouse.increments import (
    FRESH,
    SERIES_COLUMNS,
    Change,
    columns_of,
    content_of,
    refuse_repeated_keys,
    upsert_fresh,
)
from warehouse.ledger import Entry
from warehouse.stages import Stage
from warehouse.strategies.contract import is_strategy, refuse_bad_signals

Mode = Literal["full", "incremental"]
Outcome = Literal["created", "rebuilt", "updated", "unchanged"]


@dataclass(frozen=True)
class StageResult:
    """What a build did to one stage."""

    name: str
    outcome: Outcome
    rows: int  # 0 for a view: counting would be computing it
    rows_changed: int  # inserted, replaced or removed; all of them when it was made anew; 0 for a view


@dataclass(frozen=True)
class BuildReport:
    """What a build did, in its order, and the tables it dropped because their file is gone."""

    stages: tuple[StageResult, ...]
    dropped: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.dropped) or any(stage.outcome != "unchanged" for stage in self.stages)


def build(connection: duckdb.DuckDBPyConnection, stages: tuple[Stage, ...], mode: Mode = "incremental") -> BuildReport:
    """Bring every stage up to date, in the caller's transaction. `stages` are in order, as `load_stages` gives them.

    Raises:
        CheckFailed: a key that is null or not unique, or a signal that can't be traded; with the rows.
        InputUnusable: a source that is not there, or SQL that does not bind or run on these rows; names the file.
    """
    ledger.create_table(connection)
    note_built(connection)
    before = ledger.entries(connection)
    dropped = tuple(sorted(set(before) - {stage.name for stage in stages}))
    for name in dropped:
        ledger.forget(connection, name)
    kinds = ledger.kinds(connection)
    contents, changes = _sources(connection, stages, kinds)
    margin = max((stage.header.reach + (stage.header.span or timedelta(0)) for stage in stages), default=timedelta(0))
    late = Slices(connection, {stage.name: stage for stage in stages}, margin)
    results, built = [], []
    for stage in stages:
        inputs = {name: contents[name] for name in stage.inputs}
        work = _Work(stage, stage.recipe, inputs, before.get(stage.name), kinds.get(stage.name))
        if mode == "incremental" and work.is_done:
            assert work.before is not None
            result, entry, change = StageResult(stage.name, "unchanged", work.before.rows, 0), work.before, None
        else:
            result, entry, change = _bring_up_to_date(connection, work, mode, changes, late)
            built.append(entry)
        contents[stage.name] = entry.content
        if change:
            changes[stage.name] = change
        results.append(result)
    late.drop()
    ledger.record(connection, built)
    changed = [result.name for result in results if result.outcome != "unchanged"]
    note_changed(connection, {name: changes[name].since if name in changes else None for name in changed})
    return BuildReport(tuple(results), dropped)


@dataclass(frozen=True)
class _Work:
    """A stage, from what it is to be built now, and from what it was built last."""

    stage: Stage
    recipe: str
    inputs: Mapping[str, str]  # content of each
    before: Entry | None
    kind: ledger.Kind | None  # of what has its name now

    @property
    def is_done(self) -> bool:
        return self.before is not None and (self.before.recipe, self.before.inputs) == (self.recipe, self.inputs)


def _sources(
    connection: duckdb.DuckDBPyConnection, stages: tuple[Stage, ...], kinds: Mapping[str, ledger.Kind]
) -> tuple[dict[str, str], dict[str, Change]]:
    """Content of each source, and how it changed, of those that can tell."""
    ours = {stage.name for stage in stages}
    readers = {name: stage.file for stage in stages for name in stage.inputs if name not in ours}
    missing = [f"{name}, which {file} reads" for name, file in readers.items() if name not in kinds]
    if missing:
        raise InputUnusable(f"The warehouse lacks {'; '.join(missing)}.")
    contents, changes = {}, {}
    for name in readers:
        if lies_in_files(connection, name):
            contents[name], change = candles_changed(connection)
            if change:
                changes[name] = change
        else:
            contents[name] = content_of(connection, name)
    return contents, changes


def _bring_up_to_date(
    connection: duckdb.DuckDBPyConnection, work: _Work, mode: Mode, changes: Mapping[str, Change], late: Slices
) -> tuple[StageResult, Entry, Change | None]:
    stage = work.stage
    try:
        with parameters_set(connection, {param.name: param.default for param in stage.header.params}):
            if stage.header.materialized == "view":
                return _make_view(connection, work, changes if mode == "incremental" else {})
            if mode == "full" or work.before is None or work.kind != "table":
                return _make_table(connection, work)
            return _update_table(connection, work, _changed_since(connection, work, changes), late)
    except (duckdb.ProgrammingError, duckdb.DataError) as error:
        raise InputUnusable(f"{stage.file}: {error}") from error


def _make_view(
    connection: duckdb.DuckDBPyConnection, work: _Work, changes: Mapping[str, Change]
) -> tuple[StageResult, Entry, Change | None]:
    """A view is looked at where it is read: its key is checked in the tables made of it."""
    stage = work.stage
    if work.kind == "table":
        connection.execute(f"drop table {stage.name}")
    _create_schema(connection, stage)
    connection.execute(f"create or replace view {stage.name} as {stage.sql}")
    content = hashlib.sha256(json.dumps([work.recipe, work.inputs], sort_keys=True).encode()).hexdigest()
    outcome: Outcome = "rebuilt" if work.before else "created"
    change = Change(work.before.content, _changed_since(connection, work, changes)) if work.before else None
    return StageResult(stage.name, outcome, 0, 0), Entry(stage.name, work.recipe, work.inputs, content, 0), change


def _make_table(connection: duckdb.DuckDBPyConnection, work: _Work) -> tuple[StageResult, Entry, Change | None]:
    stage = work.stage
    if work.kind == "view":
        connection.execute(f"drop view {stage.name}")
    _create_schema(connection, stage)
    _fill(connection, stage, stage.name)
    _refuse_bad_rows(connection, stage, stage.name)
    entry = _entry(connection, work)
    outcome: Outcome = "rebuilt" if work.before else "created"
    change = Change(before=work.before.content if work.before else "", since=None)
    return StageResult(stage.name, outcome, entry.rows, entry.rows), entry, change


def _update_table(
    connection: duckdb.DuckDBPyConnection, work: _Work, since: datetime | None, late: Slices
) -> tuple[StageResult, Entry, Change | None]:
    stage = work.stage
    assert work.before is not None
    as_before = _fill_fresh(connection, stage, since, late)
    if [*columns_of(connection, FRESH).items()] != [*columns_of(connection, stage.name).items()]:
        connection.execute(f"drop table {FRESH}")  # there is no room for both
        return _make_table(connection, work)
    _refuse_bad_rows(connection, stage, FRESH)
    changed = upsert_fresh(connection, stage.name, stage.header.key, since, work.before.content, as_before)
    connection.execute(f"drop table {FRESH}")
    rows = int(changed.content.partition(":")[0])
    entry = Entry(stage.name, work.recipe, work.inputs, changed.content, rows)
    outcome: Outcome = "updated" if changed.keys else "unchanged"
    is_told = stage.written is None or stage.written.is_told_by_close
    change = Change(work.before.content, changed.since if is_told else None) if changed.keys else None
    return StageResult(stage.name, outcome, entry.rows, changed.keys), entry, change


def _changed_since(
    connection: duckdb.DuckDBPyConnection, work: _Work, changes: Mapping[str, Change]
) -> datetime | None:
    """Close from which on the rows of a stage may differ from those it has, or None when that can't be told."""
    stage, before = work.stage, work.before
    if before is None or before.recipe != work.recipe or before.inputs.keys() != work.inputs.keys():
        return None
    since = []
    for name, content in work.inputs.items():
        if content == before.inputs[name]:
            continue
        change = changes.get(name)
        # A change that this stage has slept through, in an earlier build, has left no trace of its extent.
        if change is None or change.since is None or change.before != before.inputs[name]:
            return None
        since.append(change.since)
    if not since or not _knows_its_reach(connection, stage):
        return None
    return min(since) - stage.header.reach


def _knows_its_reach(connection: duckdb.DuckDBPyConnection, stage: Stage) -> bool:
    """Whether rows may change that close at or after a change of the inputs, or `reach` before it, and no others."""
    if stage.header.span is not None:
        return columns_of(connection, stage.name).keys() >= SERIES_COLUMNS
    if stage.header.lookback is None and not stage.written:
        return False
    # The candles before a close are counted in each series of each input.
    return all(columns_of(connection, table).keys() >= SERIES_COLUMNS for table in (stage.name, *stage.inputs))


def _fill_fresh(
    connection: duckdb.DuckDBPyConnection, stage: Stage, since: datetime | None, late: Slices
) -> Sequence[AsBefore]:
    if since is None or (stage.header.span is None and stage.header.lookback is None):
        return _fill(connection, stage, "fresh", temporary=True, since=since)
    if stage.header.span is not None:
        late_copies = {name: late.since(name, since - stage.header.span) for name in stage.inputs}
        connection.execute(f"create or replace temp table fresh as {reading(stage.sql, stage.places, late_copies)}")
    else:
        assert stage.header.lookback is not None
        with counted(connection, stage.inputs, since, stage.header.lookback) as copies:
            connection.execute(f"create or replace temp table fresh as {reading(stage.sql, stage.places, copies)}")
    return ()


def _fill(
    connection: duckdb.DuckDBPyConnection,
    stage: Stage,
    table: str,
    *,
    temporary: bool = False,
    since: datetime | None = None,
) -> Sequence[AsBefore]:
    kind: TableKind = "temp table" if temporary else "table"
    if stage.written:
        return stage.written.write(connection, table, kind=kind, since=since)
    if stage.header.is_apart:
        for number, portion in enumerate(by_instrument(connection, stage.inputs)):
            into = f"insert into {table}" if number else f"create or replace {kind} {table} as"
            connection.execute(f"{into} {reading(stage.sql, stage.places, portion)}")
    else:
        connection.execute(f"create or replace {kind} {table} as {stage.sql}")
    return ()


def _refuse_bad_rows(connection: duckdb.DuckDBPyConnection, stage: Stage, table: str) -> None:
    if not stage.written:  # one row per candle or zone, each of which is folded once
        refuse_repeated_keys(connection, table, stage.header.key, stage.name, stage.file)
    if is_strategy(stage.name.rpartition(".")[2]):
        refuse_bad_signals(connection, table, stage.file)


def _entry(connection: duckdb.DuckDBPyConnection, work: _Work) -> Entry:
    name = work.stage.name
    return Entry(name, work.recipe, work.inputs, content_of(connection, name), _count(connection, name))


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    assert row is not None
    count: int = row[0]
    return count


def _create_schema(connection: duckdb.DuckDBPyConnection, stage: Stage) -> None:
    connection.execute(f"create schema if not exists {stage.name.partition('.')[0]}")
