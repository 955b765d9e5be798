"""What is built, checked and published while others land: once more, and not for ever.

Prefect is imported where it is used: it takes seconds, and of several test processes only one runs these tests.
"""

from types import ModuleType

import pytest

from trading.errors import CheckFailed, Outdated

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture
def transform() -> ModuleType:
    from flows import transform

    return transform


@pytest.mark.parametrize("disturbed", range(3))
def test_it_is_tried_again_as_long_as_something_lands_in_between(transform, disturbed):
    said, done = [], []

    def attempt(number):
        if number < disturbed:
            raise Outdated(f"disturbed {number}")
        done.append(number)

    transform.undisturbed(attempt, said.append)
    assert done == [disturbed]
    assert said == [f"disturbed {number}" for number in range(disturbed)]


def test_who_is_never_left_in_peace_fails_and_says_why(transform):
    tried = []

    def attempt(number):
        tried.append(number)
        raise Outdated("again")

    with pytest.raises(Outdated, match="again"):
        transform.undisturbed(attempt, print)
    assert tried == list(range(transform.ROUNDS))


def test_a_check_that_failed_is_not_tried_again(transform):
    tried = []

    def attempt(number):
        tried.append(number)
        raise CheckFailed("rows")

    with pytest.raises(CheckFailed, match="rows"):
        transform.undisturbed(attempt, print)
    assert tried == [0]
