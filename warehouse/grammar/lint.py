"""What strategy SQL may say, checked on the parsed tree.

A signal must not change when later candles arrive, and it must come out the same, bit for bit, from all of history
and from the few candles of a live close. So the check holds this invariant for every row of every step of a file:
*all that the row says was known at the row's own `closed_at`, and depends on a counted number of candles before it.*

- base rows hold it: `marts.candles`, `features.indicators`, `features.smc`;
- rows of any other `features.*` may be known after their close, so they enter at the right of an as-of join only;
- a window holds it if it runs inside one series, in the order of time, over a counted number of rows up to its own;
- a window over all rows of the same close (`partition by …, closed_at`) holds it too: a cross-section;
- a join holds it if both sides close at the same time, or the right side is the last one *known* by then (as-of);
- the time columns keep their meaning: nothing but `closed_at` may be called `closed_at`.

What is on no list of `vocabulary` is refused, also when it would be harmless. `row_number` and its kin count from the
first candle of all, so they are refused inside a series. Float aggregates are refused everywhere: their last bits
depend on the span and on the threads. What is missing here becomes a feature, in code.

Whatever this check can't see, `strategies.trials` finds by trying.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trading.errors import InputUnusable
from trading.indicators.needs import is_indicator_column, parse_need
from warehouse.grammar.headers import Header
from warehouse.grammar.joins import aliases_of, bound_columns, join_faults, newest_aliases, read_as_known
from warehouse.grammar.parameters import Value
from warehouse.grammar.trees import Node, line_at, nodes, parse_select
from warehouse.grammar.vocabulary import (
    ADVICE,
    CLOCKS,
    EXPRESSIONS,
    FLOAT_AGGREGATES,
    FRAMED,
    FUNCTIONS,
    KEPT_COLUMNS,
    KNOWN_AT_CLOSE,
    OPERATIONS,
    OPERATORS,
    PROVENANCE,
    RANKINGS,
    SERIES,
    SESSION_NAMES,
    STRUCTURES,
    TIME_COLUMNS,
)


@dataclass(frozen=True)
class Refusal:
    """One thing that strategy SQL must not say."""

    line: int
    found: str
    rule: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.found} ({self.rule}): {ADVICE[self.rule]}."


@dataclass(frozen=True)
class _File:
    header: Header
    integers: Mapping[str, int]  # values of the integer parameters, which may bound windows
    tables: frozenset[str]  # names by which the file calls rows
    features: frozenset[str]  # columns of features.indicators that the header asks for
    as_known: frozenset[int]  # offsets of the tables of which a join takes only what was known by then


def strategy_lint(sql: str, header: Header, values: Mapping[str, Value], name: str) -> tuple[Refusal, ...]:
    """Everything in `sql` that a strategy must not say, in the order of the text.

    `values` are the parameters it will run with: they can bound windows.

    Raises:
        InputUnusable: `sql` is not exactly one SELECT, or its header needs an unknown indicator.
    """
    tree = parse_select(sql, name)
    file = _File(
        header=header,
        integers={key: value for key, value in values.items() if type(value) is int},
        tables=frozenset(_table_names(tree)),
        features=frozenset(column for need in header.needs for column in parse_need(need).columns),
        as_known=frozenset(_tables_as_known(tree)),
    )
    found = {(offset, what, rule) for offset, what, rule in _visit(tree, 0, file)}
    if header.lookback is None:
        found.add((0, _uncounted(header), "lookback"))
    if header.is_apart:
        found.add((0, "apart", "apart"))
    return tuple(Refusal(line_at(sql, offset), what, rule) for offset, what, rule in sorted(found))


def _uncounted(header: Header) -> str:
    if header.span is not None:
        return "lookback in days"
    return "lookback: full" if header.lookback_said else "no lookback"


def refuse(refusals: tuple[Refusal, ...], name: str) -> None:
    """Raise InputUnusable with every refusal, if there is one."""
    if refusals:
        said = "\n".join(f"  {refusal}" for refusal in refusals)
        raise InputUnusable(f"{name} is refused, because it could not mean the same in backtest and live:\n{said}")


def series_columns_bound(sql: str, name: str) -> frozenset[str]:
    """Which of `instrument` and `timeframe` every join and every window of a lint-clean file keeps apart.

    Rows with another value of such a column can't touch a result, so they need not be read.
    """
    tree = parse_select(sql, name)
    bound = SERIES
    for node in nodes(tree):
        if node.get("class") == "WINDOW":
            bound &= _columns_in(node["partitions"])
        elif node.get("type") == "JOIN":
            bound &= bound_columns(node)
    return bound


_Found = tuple[int, str, str]  # byte offset, what, rule


def _visit(node: object, offset: int, file: _File) -> Iterator[_Found]:
    if isinstance(node, list):
        for child in node:
            yield from _visit(child, offset, file)
    if not isinstance(node, dict):
        return
    offset = _offset(node, offset)
    yield from ((offset, what, rule) for what, rule in _faults(node, file))
    if node.get("class") != "CONSTANT":
        for key, child in node.items():
            if key != "cast_type":  # types are not expressions
                yield from _visit(child, offset, file)


def _offset(node: Node, inherited: int) -> int:
    location = node.get("query_location", -1)
    return location if 0 <= location < 2**63 else inherited


def _faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    if node.get("sample"):
        yield "sample", "sample"
    if "class" in node:
        yield from _expression_faults(node, file)
    elif isinstance(node.get("type"), str):
        yield from _structure_faults(node, file)


def _expression_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    kind = node["class"]
    if kind == "SUBQUERY":
        yield "a subquery in an expression", "subquery"
    elif kind not in EXPRESSIONS or (kind == "OPERATOR" and node["type"] not in OPERATIONS):
        yield kind.lower().replace("_", " "), "form"
    yield from _alias_faults(node)
    if kind == "COLUMN_REF":
        yield from _column_faults(node, file)
    elif kind == "FUNCTION":
        yield from _function_faults(node, file)
    elif kind == "WINDOW":
        yield from _window_faults(node, file)
    elif kind == "STAR":
        yield from _star_faults(node)


def _alias_faults(node: Node) -> Iterator[tuple[str, str]]:
    alias = node.get("alias", "").lower()
    if alias in KEPT_COLUMNS and _last_name(node) != alias:
        yield f"as {alias}", "time-column"
    if alias == "known_at" and not _is_known_time(node):
        yield "as known_at", "time-column"


def _is_known_time(node: Node) -> bool:
    if node["class"] == "FUNCTION" and node["function_name"].lower() == "greatest":
        return all(_is_known_time(child) for child in node["children"])
    return _last_name(node) in {"closed_at", "known_at"}


def _column_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    names = [name.lower() for name in node["column_names"]]
    if len(names) == 1 and names[0] in CLOCKS:
        yield names[0], "clock"
    elif len(names) == 1 and names[0] in SESSION_NAMES:
        yield names[0], "function"
    elif len(names) == 1 and names[0] in file.tables:
        yield names[0], "whole-row"
    elif len(names) > 2 or (len(names) == 2 and names[0] not in file.tables):
        yield ".".join(names), "form"
    elif names[-1] in PROVENANCE:
        yield names[-1], "provenance"
    elif is_indicator_column(names[-1]) and names[-1] not in file.features:
        yield names[-1], "needs"


def _function_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    name = node["function_name"].lower()
    if name == "getvariable":
        yield from _parameter_faults(node, file)
    elif name in FLOAT_AGGREGATES:
        yield name, "float-aggregate"
    elif name in FRAMED:
        yield name, "aggregate"
    elif name in CLOCKS:
        yield name, "clock"
    elif name not in FUNCTIONS and name not in OPERATORS:
        yield name, "function"


def _parameter_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    name = _variable(node)
    if name is None or name not in {param.name for param in file.header.params}:
        yield f"getvariable({name or '…'})", "param"


def _window_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    name = node["function_name"].lower()
    partition = _columns_in(node["partitions"])
    if name in FLOAT_AGGREGATES:
        yield name, "float-aggregate"
    elif name in ("lead", "fill"):
        yield name, "look-ahead"
    elif name not in FRAMED | RANKINGS | {"lag"}:
        yield name, "function"
    elif "closed_at" in partition:
        return  # a cross-section: every row of it is known at the same close
    elif not partition >= SERIES:
        yield name, "partition"
    elif name in RANKINGS:
        yield name, "ranking"
    elif not _runs_in_time(node):
        yield name, "order"
    elif name == "lag":
        yield from _lag_faults(node, file)
    else:
        yield from _frame_faults(node, name, file)


def _runs_in_time(node: Node) -> bool:
    orders = node["orders"]
    return (
        len(orders) == 1
        and orders[0]["type"] in ("ORDER_DEFAULT", "ASCENDING")
        and _last_name(orders[0]["expression"]) in ("closed_at", "opened_at")
        and not node["arg_orders"]
    )


def _lag_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    distance = 1 if node["offset_expr"] is None else _count(node["offset_expr"], file)
    if distance is None:
        yield "lag", "lag"
    elif node["ignore_nulls"]:
        yield "lag ignore nulls", "unbounded"
    else:
        yield from _reach_faults("lag", distance, file)


def _frame_faults(node: Node, name: str, file: _File) -> Iterator[tuple[str, str]]:
    start, end = node["start"], node["end"]
    if "FOLLOWING" in start + end:
        yield f"{name} over following rows", "look-ahead"
    elif start != "EXPR_PRECEDING_ROWS" and start != "CURRENT_ROW_ROWS":
        yield name, "unbounded"
    elif end == "EXPR_PRECEDING_ROWS" and _count(node["end_expr"], file) is None:
        yield f"{name}, whose frame ends at something else than a count", "look-ahead"
    elif start == "EXPR_PRECEDING_ROWS":
        reach = _count(node["start_expr"], file)
        if reach is None:
            yield name, "unbounded"
        else:
            yield from _reach_faults(name, reach, file)


def _reach_faults(name: str, reach: int, file: _File) -> Iterator[tuple[str, str]]:
    if file.header.lookback is not None and reach > file.header.lookback:
        yield f"{name} reaches back {reach} candles, lookback is {file.header.lookback}", "lookback"


def _star_faults(node: Node) -> Iterator[tuple[str, str]]:
    if node["replace_list"] or node["rename_list"] or node["columns"] or node["expr"]:
        yield "* with replace, rename or a pattern", "form"


def _structure_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    kind = node["type"]
    if kind == "RECURSIVE_CTE_NODE":
        yield "with recursive", "recursive"
    elif kind in ("LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"):
        yield "limit", "limit"
    elif kind == "TABLE_FUNCTION":
        yield f"{node['function']['function_name']}(…) as a table", "input"
    elif kind not in STRUCTURES:
        yield kind.lower().replace("_", " "), "form"
    elif kind == "DISTINCT_MODIFIER" and node["distinct_on_targets"]:
        yield "distinct on", "limit"
    elif kind == "SET_OPERATION_NODE" and node["setop_type"] != "UNION_BY_NAME":
        yield node["setop_type"].lower(), "set-operation"
    elif kind == "BASE_TABLE":
        yield from _table_faults(node, file)
    elif kind == "SELECT_NODE":
        yield from _select_faults(node)
    elif kind == "JOIN":
        yield from ((fault, "join") for fault in join_faults(node))
    if node.get("column_name_alias") or any(cte["value"]["aliases"] for cte in node.get("cte_map", {}).get("map", ())):
        yield "columns renamed by a list", "time-column"


def _table_faults(node: Node, file: _File) -> Iterator[tuple[str, str]]:
    schema, table = node["schema_name"].lower(), node["table_name"].lower()
    allowed = schema == "features" or (schema, table) == ("marts", "candles")
    own = not schema and table.isidentifier()  # `from 'x.csv'` reads a file; an unknown CTE fails by itself
    if node["catalog_name"] or node["at_clause"] or not (allowed or own):
        yield ".".join(filter(None, (node["catalog_name"], schema, table))), "input"
    is_late = schema == "features" and f"features.{table}" not in KNOWN_AT_CLOSE
    if is_late and node["query_location"] not in file.as_known:
        yield f"{schema}.{table}", "late-feature"


def _select_faults(node: Node) -> Iterator[tuple[str, str]]:
    if node["group_expressions"] or node["having"] or node["aggregate_handling"] != "STANDARD_HANDLING":
        yield "group by", "aggregate"
    newest = newest_aliases(node["from_table"])
    if newest is not None:
        yield from _asof_faults(node, newest)


def _asof_faults(node: Node, newest: frozenset[str]) -> Iterator[tuple[str, str]]:
    """A row that an as-of join brought in closed earlier; its times must not pass for those of the joined row."""
    for item in node["select_list"]:
        if item["class"] == "STAR" and item["relation_name"].lower() not in newest:
            yield f"{item['relation_name'] or '*'} in a select with an as-of join", "asof-time"
        elif _called(item) in TIME_COLUMNS and not _anchored(item, newest):
            yield f"{_called(item)} in a select with an as-of join", "asof-time"
    for window in (part for part in nodes([node["select_list"], node["qualify"]]) if part.get("class") == "WINDOW"):
        columns = [*window["partitions"], *(order["expression"] for order in window["orders"])]
        if any(_last_name(column) in TIME_COLUMNS and not _anchored(column, newest) for column in columns):
            yield f"{window['function_name']} in a select with an as-of join", "asof-time"


def _called(item: Node) -> str:
    return str(item.get("alias", "")).lower() or _last_name(item)


def _anchored(node: Node, newest: frozenset[str]) -> bool:
    if node["class"] == "FUNCTION":  # greatest(…), as known_at may be
        return any(_anchored(child, newest) for child in node["children"])
    names = node.get("column_names", ())
    return len(names) == 2 and names[0].lower() in newest


def _count(node: Node | None, file: _File) -> int | None:
    """Rows that a frame or a lag spans, when that is a count written out or an integer parameter; else None."""
    if node is None:
        return None
    if node["class"] == "CONSTANT":
        value = node["value"].get("value")
        return value if type(value) is int and value >= 0 else None
    return file.integers.get(_variable(node) or "")


def _variable(node: Node) -> str | None:
    if node["class"] != "FUNCTION" or node["function_name"].lower() != "getvariable" or len(node["children"]) != 1:
        return None
    argument = node["children"][0]
    value = argument["value"].get("value") if argument["class"] == "CONSTANT" else None
    return value if isinstance(value, str) else None


def _columns_in(expressions: list[Node]) -> frozenset[str]:
    return frozenset(name for name in map(_last_name, expressions) if name)


def _last_name(node: Node) -> str:
    return node["column_names"][-1].lower() if node["class"] == "COLUMN_REF" else ""


def _table_names(tree: Node) -> Iterator[str]:
    for node in nodes(tree):
        if node.get("type") in ("BASE_TABLE", "SUBQUERY") and "class" not in node:
            yield from aliases_of(node)


def _tables_as_known(tree: Node) -> Iterator[int]:
    for node in nodes(tree):
        if node.get("type") == "JOIN" and read_as_known(node) and node["right"]["type"] == "BASE_TABLE":
            yield node["right"]["query_location"]
