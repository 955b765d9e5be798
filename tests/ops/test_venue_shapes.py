"""Shapes of JSON: what they say of values, how they merge, and which differences they show."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.venue.shapes import PLAIN, UNSEEN, Difference, Layout, Shape, differences, merged, merged_all, shape_of

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
keys = st.sampled_from(["a", "b", "c", "[]", "*", "a.b"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
layouts = st.builds(
    Layout,
    named=st.dictionaries(st.sampled_from(["", "a", "a.b", "[]"]), st.frozensets(keys), max_size=2),
    rows=st.frozensets(st.sampled_from(["", "a", "[]", "a[]"]), max_size=2),
)
shapes = st.builds(
    lambda some, layout: merged_all(shape_of(value, layout) for value in some), st.lists(values, max_size=3), layouts
)


def found(venue: Any, sandbox: Any, layout: Layout = PLAIN) -> list[Difference]:
    return list(differences(shape_of(venue, layout), shape_of(sandbox, layout)))


@given(one=shapes, other=shapes, third=shapes)
def test_merging_is_a_union(one: Shape, other: Shape, third: Shape):
    assert merged(one, other) == merged(other, one)
    assert merged(merged(one, other), third) == merged(one, merged(other, third))
    assert merged(one, one) == one
    assert merged(one, UNSEEN) == one


@given(one=shapes)
def test_a_shape_does_not_differ_from_itself(one: Shape):
    assert list(differences(one, one)) == []


MIRRORED = {
    "missing at venue": "missing in sandbox",
    "missing in sandbox": "missing at venue",
    "nothing at venue": "nothing in sandbox",
    "nothing in sandbox": "nothing at venue",
}


@given(one=shapes, other=shapes)
def test_differences_are_the_same_from_either_side(one: Shape, other: Shape):
    mirrored = [
        Difference(each.path, MIRRORED.get(each.finding, each.finding), each.sandbox, each.venue)
        for each in differences(other, one)
    ]
    assert list(differences(one, other)) == mirrored


@given(value=values, layout=layouts)
def test_only_the_shape_counts_not_how_often_or_in_which_order(value: Any, layout: Layout):
    assert shape_of([value, value], layout) == shape_of([value], layout) or "" in layout.rows
    turned = {"b": value, "a": value}
    assert shape_of(turned, layout) == shape_of(dict(reversed(turned.items())), layout)


@given(inner=st.dictionaries(st.sampled_from("abc"), scalars, min_size=1), depth=st.integers(0, 3), data=st.data())
def test_a_field_that_goes_is_found_wherever_it_was(inner: dict[str, Any], depth: int, data: st.DataObject):
    gone = data.draw(st.sampled_from(sorted(inner)))
    whole: Any = inner
    rest: Any = {key: value for key, value in inner.items() if key != gone}
    for _ in range(depth):
        whole, rest = {"in": [whole]}, {"in": [rest]}
    path = ".".join(["in[]"] * depth + [gone])
    assert [(each.path, each.finding) for each in found(whole, rest)] == [(path, "missing in sandbox")]
    assert [(each.path, each.finding) for each in found(rest, whole)] == [(path, "missing at venue")]


@pytest.mark.parametrize(
    ("venue", "sandbox", "expected"),
    [
        ({"price": "1.5"}, {"price": 1.5}, ("price", "other type", "string", "number")),
        ({"price": 1}, {"price": 1.5}, None),  # JSON knows one kind of number
        ({"on": True}, {"on": 1}, ("on", "other type", "boolean", "number")),
        ([{"a": 1}, {"a": None}], [{"a": 1}], ("[].a", "other nullability", "null or number", "number")),
        ([{"a": 1}], [{"a": 1}, {"a": "1"}], ("[].a", "other type", "number", "number or string")),
        ([{"a": 1}, {}], [{"a": 1}], ("[].a", "other nullability", "sometimes absent", "always there")),
        ({"a": None}, {"a": {"b": 1}}, ("a", "other nullability", "null", "object")),
        ({"a": [1]}, {"a": {"b": 1}}, ("a", "other type", "array", "object")),
        ({"a": []}, {"a": [1]}, ("a[]", "nothing at venue", "", "number")),
        ({"a": [[1]]}, {"a": [["1"]]}, ("a[][]", "other type", "number", "string")),
    ],
)
def test_a_difference_says_where_it_is_and_what_is_there(venue, sandbox, expected):
    assert found(venue, sandbox) == ([Difference(*expected)] if expected else [])


def test_keys_that_are_names_are_one_member():
    layout = Layout(named={"result": frozenset({"last"})})
    venue = {"result": {"XXBTZUSD": [1], "last": "1"}}
    assert found(venue, {"result": {"XETHZUSD": [2], "XXDGZUSD": [3], "last": "2"}}, layout) == []
    assert found(venue, {"result": {"BTC/USD": ["2"], "last": 2}}, layout) == [
        Difference("result.*[]", "other type", "number", "string"),
        Difference("result.last", "other type", "string", "number"),
    ]


def test_each_place_of_a_row_is_compared_by_itself():
    layout = Layout(rows=frozenset({"rows[]"}))
    venue = {"rows": [[1, "2", 3], [1, "2", 3]]}
    assert found(venue, {"rows": [[1, "2"]]}, layout) == [Difference("rows[][2]", "missing in sandbox", "number", "")]
    assert found(venue, {"rows": [[1, 2, 3]]}, layout) == [Difference("rows[][1]", "other type", "string", "number")]


def test_of_a_long_list_only_the_rows_asked_for_are_compared():
    layout = Layout(only={"rows": ("symbol", frozenset({"PF_XBTUSD"}))})
    venue = {"rows": [{"symbol": "PF_XBTUSD", "last": 1}, {"symbol": "in_xbtusd"}, {"symbol": "rr", "other": 1}]}
    assert found(venue, {"rows": [{"symbol": "PF_XBTUSD", "last": 2}]}, layout) == []
