"""Thresholds of the checks: none has a default, and those that contradict each other are refused (I23)."""

import pytest
from pydantic import ValidationError

from config.settings import Validation, load_settings

GOOD = load_settings().validation.model_dump()


@pytest.mark.parametrize("name", GOOD)
def test_none_has_a_default(name):
    with pytest.raises(ValidationError, match=f"{name}\n  Field required"):
        Validation.model_validate({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [-1, "nan", "many"])
def test_what_is_no_limit_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Validation.model_validate({**GOOD, name: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"max_daily_missing_share": 0.7},
            r"max_daily_missing_share = 0\.7 exceeds validation\.max_missing_share = 0\.6",
        ),
        (
            {"max_index_difference_bps": 600},
            r"max_index_difference_bps = 600\.0 exceeds validation\.max_basis_bps = 500\.0",
        ),
        (
            {"max_jump_ratio": 1.04},
            r"max_basis_bps = 500\.0 exceeds what validation\.max_jump_ratio = 1\.04 .* 400 bps",
        ),
    ],
    ids=["a day and a batch", "index and basis", "basis and jump"],
)
def test_limits_that_contradict_each_other_are_named_with_both_values(change, said):
    with pytest.raises(ValidationError, match=said):
        Validation.model_validate({**GOOD, **change})
