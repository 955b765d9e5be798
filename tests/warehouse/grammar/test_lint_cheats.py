"""Strategy SQL that would mean something else tomorrow is refused by name."""

import pytest
from cheats import LOOKS_AHEAD, UNSTABLE
from strategy_sql import refusals, unchecked

from warehouse.grammar.vocabulary import ADVICE
from warehouse.strategies.trials import look_ahead_offenders


@pytest.mark.parametrize("name", LOOKS_AHEAD)
def test_refuses_each_cheat_that_looks_ahead_by_name(name):
    sql, rule = LOOKS_AHEAD[name]
    assert rule in {refusal.rule for refusal in refusals(sql)}


@pytest.mark.parametrize("name", LOOKS_AHEAD)
def test_finds_each_cheat_that_looks_ahead_by_trying(name, candles, cuts):
    sql, _ = LOOKS_AHEAD[name]
    assert len(look_ahead_offenders(unchecked(sql), candles, cuts)) > 0


@pytest.mark.parametrize("name", UNSTABLE)
def test_refuses_each_cheat_that_is_unstable_by_name(name):
    sql, rule = UNSTABLE[name]
    assert rule in {refusal.rule for refusal in refusals(sql)}


def test_every_rule_has_a_cheat_and_an_advice():
    tested = {rule for _, rule in [*LOOKS_AHEAD.values(), *UNSTABLE.values()]}
    assert tested | {"late-feature"} == set(ADVICE)
