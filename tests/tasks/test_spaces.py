"""Which sets of parameters a sweep tries."""

import pytest
from doses import examples
from hypothesis import given
from hypothesis import strategies as st

from tasks.research.spaces import drawn, grid, parse_space
from trading.errors import InputUnusable
from warehouse.grammar.parameters import parse_param

PARAMS = tuple(
    parse_param(text, "x.sql:1")
    for text in (
        "stop double = 2.0 in 0.5 .. 4.5",
        "bars integer = 5 in 2 .. 9",
        "period integer = 50 in 20, 50, 200",
        "mirrored boolean = true",
        "free double = 1.0",
    )
)


def space(text):
    return parse_space(text, PARAMS, "x.sql")


def values(text):
    return [each[text.partition("=")[0]] for each in grid([space(text)])]


@pytest.mark.parametrize(
    ("said", "tried"),
    [
        ("stop=1,2.5", [1.0, 2.5]),
        ("stop=1,1.0", [1.0]),
        ("stop=1:2:0.25", [1.0, 1.25, 1.5, 1.75, 2.0]),
        ("stop=0.7:1.0:0.1", [0.7, 0.8, 0.9, 1.0]),
        ("stop=1:2:0.4", [1.0, 1.4, 1.8]),
        ("bars=3:9:3", [3, 6, 9]),
        ("stop", [0.5, 1.5, 2.5, 3.5, 4.5]),
        ("bars", [2, 4, 6, 7, 9]),
        ("period", [20, 50, 200]),
        ("mirrored", [True, False]),
        ("free=-1,10", [-1.0, 10.0]),
    ],
)
def test_a_space_is_said_in_a_word(said, tried):
    assert values(said) == tried


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("other=1", "declares no parameter other"),
        ("stop=9", "must be in 0.5 .. 4.5"),
        ("bars=x", "must be a whole number"),
        ("free", "says no range for free"),
        ("stop=1:2", "from:to:step"),
        ("stop=1:2:0", "the step is more than nothing"),
        ("stop=2:1:1", "from is at most to"),
        ("stop=0:inf:1", "from is at most to"),
        ("stop=1:2:0.000001", "too many"),
    ],
)
def test_what_can_not_be_tried_is_refused_with_the_reason(said, why):
    with pytest.raises(InputUnusable, match=why):
        space(said)


def test_a_grid_is_every_combination_once():
    tried = grid([space("stop=1,2"), space("period")])
    assert tried == tuple({"stop": stop, "period": period} for stop in (1.0, 2.0) for period in (20, 50, 200))


def test_a_grid_of_nothing_is_the_strategy_as_it_is():
    assert grid([]) == ({},)


def test_too_many_combinations_are_refused_before_they_are_made():
    with pytest.raises(InputUnusable, match="160,000 combinations"):
        grid([space("free=1:400:1"), space("stop=0.5:4.49:0.01")])


@given(seed=st.integers(0, 2**32), count=st.integers(1, 40))
@examples(100)
def test_what_is_drawn_is_allowed_different_and_the_same_again(seed, count):
    spaces = [space("stop"), space("bars"), space("period")]
    found = drawn(spaces, count, seed)
    assert found == drawn(spaces, count, seed)
    assert len({tuple(each.items()) for each in found}) == len(found) == count
    assert all(each.param.allows(one[each.param.name]) for one in found for each in spaces)


def test_no_more_is_drawn_than_there_is():
    assert len(drawn([space("period"), space("mirrored")], 100, seed=1)) == 6
