"""The shape of JSON: which fields there are, of which types, which may be null or absent. Pure.

Shapes of many values are merged into one that fits them all. Merging is a union: neither order nor repetition matters.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, Literal, NamedTuple

Part = Literal["field", "name", "item", "place"]
Finding = Literal["missing at venue", "missing in sandbox", "other type", "other nullability", "other status"]
Unseen = Literal["nothing at venue", "nothing in sandbox"]

NULL, OBJECT, ARRAY = "null", "object", "array"
TYPES = {type(None): NULL, bool: "boolean", int: "number", float: "number", str: "string", dict: OBJECT, list: ARRAY}
NOWHERE: Mapping[str, Any] = {}


class Layout(NamedTuple):
    """What the JSON itself does not say. Places are paths, as differences name them; an answer begins at `""`."""

    named: Mapping[str, frozenset[str]] = NOWHERE  # objects keyed by names, such as pairs, and their keys that are none
    rows: frozenset[str] = frozenset()  # arrays in which each place has a meaning of its own
    only: Mapping[str, tuple[str, frozenset[str]]] = NOWHERE  # of these lists the objects whose field is one of these


PLAIN = Layout()


class Step(NamedTuple):
    """One step into a value: a field, any of the names, any of the items, or a place of a row."""

    part: Part
    name: str = ""

    @property
    def container(self) -> str:
        return OBJECT if self.part in ("field", "name") else ARRAY

    def after(self, path: str) -> str:
        """The path of what lies there."""
        if self.part == "item":
            return f"{path}[]"
        if self.part == "place":
            return f"{path}[{self.name}]"
        name = "*" if self.part == "name" else self.name
        return f"{path}.{name}" if path else name


EACH_NAME, EACH_ITEM = Step("name"), Step("item")


class Shape(NamedTuple):
    """What values look like. No types: none was seen."""

    types: frozenset[str]
    members: Mapping[Step, "Member"]


class Member(NamedTuple):
    """What lies in a container; `always`: in every one that was seen."""

    shape: Shape
    always: bool


UNSEEN = Shape(frozenset(), {})


class Difference(NamedTuple):
    """Where two shapes differ, how, and what is there in either."""

    path: str
    finding: Finding | Unseen
    venue: str
    sandbox: str


def shape_of(value: Any, layout: Layout = PLAIN, path: str = "") -> Shape:
    """The shape of parsed JSON that lies at `path`."""
    members: dict[Step, Member] = {}
    for step, inner in _parts(value, layout, path):
        shape = shape_of(inner, layout, step.after(path))
        there = members.get(step)
        members[step] = Member(merged(there.shape, shape) if there else shape, step.part in ("field", "place"))
    return Shape(frozenset({TYPES[type(value)]}), members)


def merged(one: Shape, other: Shape) -> Shape:
    """The shape that fits whatever either of them fits."""
    members = {}
    for step in one.members.keys() | other.members.keys():
        here, there = one.members.get(step), other.members.get(step)
        if here and there:
            members[step] = Member(merged(here.shape, there.shape), here.always and there.always)
            continue
        found, without = (here, other) if here else (there, one)
        assert found is not None
        # Absent only if there was a container to be absent from.
        members[step] = Member(found.shape, found.always and step.container not in without.types)
    return Shape(one.types | other.types, members)


def merged_all(shapes: Iterator[Shape]) -> Shape:
    """The shape that fits them all."""
    return reduce(merged, shapes, UNSEEN)


def differences(venue: Shape, sandbox: Shape, path: str = "") -> Iterator[Difference]:
    """Where the two differ, in the order of paths, and where one of them showed nothing to compare with."""
    yield from _at(path, venue, sandbox)
    for step in sorted(venue.members.keys() | sandbox.members.keys(), key=lambda step: (step.after(path), step.part)):
        # Where either side has no such container at all, that is the difference: not each field that would be in it.
        if step.container in venue.types & sandbox.types:
            yield from _within(step.after(path), step, venue.members.get(step), sandbox.members.get(step))


def words_of(shape: Shape) -> str:
    """Its types, for people."""
    return " or ".join(sorted(shape.types)) or "nothing"


def _parts(value: Any, layout: Layout, path: str) -> Iterator[tuple[Step, Any]]:
    if isinstance(value, dict):
        fields = layout.named.get(path)
        for key, inner in value.items():
            yield (Step("field", key) if fields is None or key in fields else EACH_NAME), inner
    elif isinstance(value, list):
        is_row = path in layout.rows
        for place, inner in enumerate(value):
            if not _is_left_out(inner, layout, path):
                yield (Step("place", str(place)) if is_row else EACH_ITEM), inner


def _is_left_out(item: Any, layout: Layout, path: str) -> bool:
    if path not in layout.only or not isinstance(item, dict):
        return False
    field, wanted = layout.only[path]
    return item.get(field) not in wanted


def _at(path: str, venue: Shape, sandbox: Shape) -> Iterator[Difference]:
    """Of the types at one path."""
    theirs, ours = venue.types - {NULL}, sandbox.types - {NULL}
    if theirs and ours and theirs != ours:
        yield Difference(path, "other type", words_of(venue), words_of(sandbox))
    elif (NULL in venue.types) != (NULL in sandbox.types):
        yield Difference(path, "other nullability", words_of(venue), words_of(sandbox))


def _within(path: str, step: Step, venue: Member | None, sandbox: Member | None) -> Iterator[Difference]:
    """Of one member of a container that both have."""
    if venue and sandbox:
        if venue.always != sandbox.always:
            yield Difference(path, "other nullability", _presence(venue), _presence(sandbox))
        yield from differences(venue.shape, sandbox.shape, path)
    elif step in (EACH_NAME, EACH_ITEM):  # one of the two was empty
        seen = venue or sandbox
        assert seen is not None
        nothing: Unseen = "nothing in sandbox" if venue else "nothing at venue"
        yield Difference(path, nothing, _words(venue), _words(sandbox))
    else:
        missing: Finding = "missing in sandbox" if venue else "missing at venue"
        yield Difference(path, missing, _words(venue), _words(sandbox))


def _presence(member: Member) -> str:
    return "always there" if member.always else "sometimes absent"


def _words(member: Member | None) -> str:
    return words_of(member.shape) if member else ""
