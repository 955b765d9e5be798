"""SQL files -> stages, in the order in which they must be built.

`sql/<schema>/<name>.sql` holds one SELECT and *is* `<schema>.<name>`. What it reads is found in the text itself, by
the database's own parser, and that gives the order. `features.indicators`, `features.smc` and `marts.zones` are stages
too, written by code; the last two only where some file reads them. A strategy may tell of the candidates that it
rejects; those are tables beside its own.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from trading.errors import InputUnusable
from trading.smc.kernel import advance
from trading.smc.layout import Kernel
from warehouse.features import indicators, smc
from warehouse.features.series import KEY
from warehouse.features.written import Written
from warehouse.grammar.headers import Header, complete, parse_header
from warehouse.grammar.lint import refuse, strategy_lint
from warehouse.grammar.parameters import values_of
from warehouse.grammar.trees import Input, Node, inputs_of, nodes, parse_select
from warehouse.strategies import rejections
from warehouse.strategies.contract import is_strategy

NOT_STAGES = frozenset({"checks", "raw"})  # checks return offenders, raw tables are landed
SOURCE_SCHEMAS = frozenset({"raw", "checks", "meta"})
# Tables among the marts that code writes: a stage may read them, and no file may take their name.
WRITTEN_BY_CODE = frozenset(
    f"marts.{name}" for name in ("backtests", "decisions", "equity", "fills", "funding_payments", "journal", "trades")
)
MADE_OF_CANDLES = frozenset({indicators.TABLE, smc.TABLE, smc.ZONES, rejections.ALL})
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Stage:
    """One table or view, and how to make it."""

    name: str  # schema.table
    file: str  # what errors call it: sql/marts/candles.sql
    header: Header
    inputs: tuple[str, ...]  # schema.table, each once
    sql: str = ""  # empty for the stage that code writes
    places: tuple[Input, ...] = ()  # where `sql` reads its inputs
    written: Written | None = None  # by code

    @property
    def recipe(self) -> str:
        """Hash of all that decides, with the inputs, what the stage holds."""
        # The header is part of the text. What code writes has no text but the code.
        code = self.written.made_of if self.written else ()
        return hashlib.sha256(json.dumps([self.sql, code]).encode()).hexdigest()


def load_stages(sql_dir: Path, kernel: Kernel = advance) -> tuple[Stage, ...]:
    """Every stage under `sql_dir`, inputs before those who read them; else in the order of their names.

    `kernel` folds the Smart Money Concepts: `advance`, or machine code made of it, which is a thousand times as fast.

    Raises:
        InputUnusable: a file that is not one SELECT with a complete header, strategy SQL that could look ahead, an
            input that nobody makes, a name taken twice, stages that read each other in a circle. Names the file.
    """
    paths = [path for path in sorted(sql_dir.glob("*/*.sql")) if path.parent.name not in NOT_STAGES]
    files = [_stage(path.parent.name, path.stem, path.read_text(encoding="utf-8")) for path in paths]
    made = {
        stage.name: stage for stage in (*files, _indicators(files), *_smart_money(files, kernel), *_rejected(files))
    }
    for stage in files:
        _refuse_unknown_inputs(stage, frozenset(made))
    return tuple(made[name] for name in _ordered(made))


@lru_cache(maxsize=256)  # who builds again and again, as tests do, reads each text once
def _stage(schema: str, table: str, text: str) -> Stage:
    file, name = f"sql/{schema}/{table}.sql", f"{schema}.{table}"
    if not (_NAME.fullmatch(schema) and _NAME.fullmatch(table)):
        raise InputUnusable(f"{file}: folder and file name become {name}; write them in lower case, a-z, 0-9 and _.")
    if name in WRITTEN_BY_CODE | MADE_OF_CANDLES or table.startswith("rejections_"):
        raise InputUnusable(f"{file}: {name} is made twice, by this file and by code; choose another file name.")
    sql = text.strip().removesuffix(";")
    header = complete(parse_header(sql, file), file)
    if is_strategy(table):
        refuse(strategy_lint(sql, header, values_of(header.params, {}, file), file), file)
    return _from_sql(name, file, header, sql)


def _refuse_long_names(tree: Node, file: str) -> None:
    """An increment reads slices of its inputs under the inputs' own short names; longer ones would miss them."""
    inputs = {place.name for place in inputs_of(tree)}
    for node in nodes(tree):
        names = node.get("column_names") or ()
        if len(names) > 2 and ".".join(names[:2]).lower() in inputs:
            raise InputUnusable(f"{file}: write {'.'.join(names[1:])}, not {'.'.join(names)}.")
        if node.get("catalog_name") and node.get("type") == "BASE_TABLE":
            raise InputUnusable(f"{file} reads {node['catalog_name']}.{node['table_name']}, from another database.")


def _indicators(files: list[Stage]) -> Stage:
    needs = indicators.union_of_needs(stage.header.needs for stage in files)
    header = Header(grain="one row per candle", key=KEY)
    file = "warehouse/features/indicators.py"
    return Stage(indicators.TABLE, file, header, ("marts.candles",), written=indicators.written(needs))


def _smart_money(files: list[Stage], kernel: Kernel) -> list[Stage]:
    if not any({smc.TABLE, smc.ZONES}.intersection(stage.inputs) for stage in files):
        return []
    rows, zones = smc.written(kernel)
    file = "warehouse/features/smc.py"
    header = Header(grain="one row per candle", key=KEY)
    of_zones = Header(grain="one row per zone, with its life", key=smc.ZONES_KEY)
    return [
        Stage(smc.TABLE, file, header, ("marts.candles",), written=rows),
        Stage(smc.ZONES, file, of_zones, (smc.TABLE, "marts.candles"), written=zones),
    ]


def _rejected(files: list[Stage]) -> list[Stage]:
    telling = [stage for stage in files if stage.header.rejections and is_strategy(stage.name.rpartition(".")[2])]
    tables = [_rejections(stage) for stage in telling]
    if not tables:
        return []
    header = Header(
        grain="one row per candidate of a strategy that is none of its signals, with the first reason",
        key=("strategy", *rejections.KEY),
        lookback=0,
        materialized="view",
    )
    sql = rejections.all_rejections_sql([stage.name for stage in telling])
    return [*tables, _from_sql(rejections.ALL, "warehouse/strategies/rejections.py", header, sql)]


def _rejections(strategy: Stage) -> Stage:
    header = replace(
        strategy.header, grain=f"one row per candidate that is no signal of {strategy.name}", key=rejections.KEY
    )
    sql = rejections.rejections_sql(strategy.sql, strategy.header.rejections, strategy.file)
    return _from_sql(rejections.table_of(strategy.name), strategy.file, header, sql)


def _from_sql(name: str, file: str, header: Header, sql: str) -> Stage:
    tree = parse_select(sql, file)
    _refuse_long_names(tree, file)
    places = inputs_of(tree)
    return Stage(name, file, header, tuple(sorted({place.name for place in places})), sql, places)


def _refuse_unknown_inputs(stage: Stage, made: frozenset[str]) -> None:
    for name in stage.inputs:
        schema, _, table = name.rpartition(".")
        if not schema:
            raise InputUnusable(
                f"{stage.file} reads `{table}`, which is none of its CTEs; other tables are written with their schema."
            )
        if name not in made and name not in WRITTEN_BY_CODE and schema not in SOURCE_SCHEMAS:
            raise InputUnusable(f"{stage.file} reads {name}, but there is no sql/{schema}/{table}.sql.")


def _ordered(stages: Mapping[str, Stage]) -> list[str]:
    sorter = TopologicalSorter({name: [i for i in stage.inputs if i in stages] for name, stage in stages.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = [stages[name].file for name in error.args[1]]
        raise InputUnusable(f"These read each other in a circle: {' <- '.join(circle)}.") from error
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order.extend(ready)
        sorter.done(*ready)
    return order
