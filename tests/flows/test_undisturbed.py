"""What is built, checked and published while others land: once more, and not for ever."""

import pytest

from flows.transform import ROUNDS, undisturbed
from trading.errors import CheckFailed, Outdated

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.mark.parametrize("disturbed", range(ROUNDS))
def test_it_is_tried_again_as_long_as_something_lands_in_between(disturbed):
    said, done = [], []

    def attempt(number):
        if number < disturbed:
            raise Outdated(f"disturbed {number}")
        done.append(number)

    undisturbed(attempt, said.append)
    assert done == [disturbed]
    assert said == [f"disturbed {number}" for number in range(disturbed)]


def test_who_is_never_left_in_peace_fails_and_says_why():
    tried = []

    def attempt(number):
        tried.append(number)
        raise Outdated("again")

    with pytest.raises(Outdated, match="again"):
        undisturbed(attempt, print)
    assert tried == list(range(ROUNDS))


def test_a_check_that_failed_is_not_tried_again():
    tried = []

    def attempt(number):
        tried.append(number)
        raise CheckFailed("rows")

    with pytest.raises(CheckFailed, match="rows"):
        undisturbed(attempt, print)
    assert tried == [0]
