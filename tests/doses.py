"""How many examples a property is tried on: a few in the fast tier, sixteen times as many in the deep one."""

from typing import Any

from hypothesis import settings

DEEP = "deep"  # the profile that `make test-deep` names
USUAL = 100
FEWEST = 5


def examples(usual: int, **others: Any) -> settings:
    """Decorates a property whose examples are dearer than most: `usual` is 100 for all that are not decorated.

    The fast tier tries a quarter of them, yet five at least; the deep one four times as many.
    """
    return settings(max_examples=dose(usual, settings.get_current_profile_name()), **others)


def dose(usual: int, profile: str) -> int:
    return 4 * usual if profile == DEEP else min(usual, max(usual // 4, FEWEST))
