"""Joins of strategy SQL: which columns they bind, and whether one can bring a later row to an earlier one."""

from collections.abc import Iterator

from warehouse.grammar.trees import Node

# Not `opened_at`: an hour that opens with a quarter of an hour closes 45 minutes after it.
TIMES = frozenset({"closed_at", "known_at"})
AT_OR_BEFORE = frozenset({"COMPARE_GREATERTHANOREQUALTO", "COMPARE_GREATERTHAN"})
MIRRORED = {
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}


def join_faults(join: Node) -> Iterator[str]:
    """What a join says beyond equality of columns with the same name and one as-of on `known_at`."""
    kind = join["ref_type"]
    if kind not in ("REGULAR", "ASOF"):
        yield f"{kind.lower()} join"
        return
    if join["join_type"] not in ("INNER", "LEFT") and (kind == "ASOF" or join["join_type"] not in ("SEMI", "ANTI")):
        yield f"{join['join_type'].lower()} join"
        return
    unclear = [term for term in _terms(join["condition"]) if _bound(term, join) is None and not _is_filter(term)]
    if unclear:
        yield "a condition that is no equality of columns with the same name, qualified by their tables"
    elif kind == "ASOF" and join["using_columns"] and join["using_columns"][-1].lower() != "known_at":
        yield f"asof join using (…, {join['using_columns'][-1]})"
    elif not bound_columns(join) & TIMES:
        yield "a join that does not bind the time"


def bound_columns(join: Node) -> frozenset[str]:
    """Columns that are equal on both sides of a join; an as-of binds `known_at`."""
    terms = (_bound(term, join) for term in _terms(join["condition"]))
    return frozenset(column.lower() for column in join["using_columns"]) | {column for column in terms if column}


def read_as_known(join: Node) -> bool:
    """Whether the right side of a join gives only rows that were known by the time of the left one."""
    return join["ref_type"] == "ASOF" and "known_at" in bound_columns(join)


def aliases_of(table: Node) -> frozenset[str]:
    """Names by which a statement calls the rows of a table reference, lower case."""
    if table["type"] == "JOIN":
        return aliases_of(table["left"]) | aliases_of(table["right"])
    name = table.get("alias") or table.get("table_name") or ""
    return frozenset({name.lower()} - {""})


def newest_aliases(table: Node) -> frozenset[str] | None:
    """Names of the table whose times are the times of a joined row; None when all its sides close together.

    An as-of join brings in rows that closed earlier, and what is joined to those is as old: the leftmost is newest.
    """
    return aliases_of(_leftmost(table)) if _has_asof(table) else None


def _has_asof(table: Node) -> bool:
    if table["type"] != "JOIN":
        return False
    return table["ref_type"] == "ASOF" or _has_asof(table["left"]) or _has_asof(table["right"])


def _leftmost(table: Node) -> Node:
    return _leftmost(table["left"]) if table["type"] == "JOIN" else table


def _terms(condition: Node | None) -> list[Node]:
    if condition is None:
        return []
    if condition["type"] == "CONJUNCTION_AND":
        return [term for child in condition["children"] for term in _terms(child)]
    return [condition]


def _bound(term: Node, join: Node) -> str | None:
    """The column that a term of a condition binds, or None when it binds none or is not understood."""
    if term["class"] != "COMPARISON":
        return None
    for comparison, left, right in _both_ways(term):
        if _side(left, join["left"]) and _side(right, join["right"]):
            column, other = _column(left), _column(right)
            if comparison == "COMPARE_EQUAL" and column == other:
                return column
            if column in ("closed_at", "known_at") and other == "known_at" and _known_by_then(comparison, join):
                return "known_at"
    return None


def _both_ways(term: Node) -> Iterator[tuple[str, Node, Node]]:
    yield term["type"], term["left"], term["right"]
    if term["type"] in MIRRORED:
        yield MIRRORED[term["type"]], term["right"], term["left"]


def _known_by_then(comparison: str, join: Node) -> bool:
    return comparison == "COMPARE_EQUAL" or (join["ref_type"] == "ASOF" and comparison in AT_OR_BEFORE)


def _side(node: Node, table: Node) -> bool:
    names = node.get("column_names", ())
    return len(names) == 2 and names[0].lower() in aliases_of(table)


def _column(node: Node) -> str:
    name: str = node["column_names"][1]
    return name.lower()


def _is_filter(term: Node) -> bool:
    """`hourly.timeframe = '1h'`: a column against a constant or a parameter."""
    if term["class"] != "COMPARISON":
        return False
    sides = (term["left"], term["right"])
    return any(side["class"] == "COLUMN_REF" for side in sides) and any(_is_constant(side) for side in sides)


def _is_constant(node: Node) -> bool:
    kind: str = node["class"]
    return kind == "CONSTANT" or (kind == "FUNCTION" and str(node["function_name"]).lower() == "getvariable")
