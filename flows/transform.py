"""Everything downstream of raw: staging, features, marts; checked, then published."""

from collections.abc import Callable
from typing import Literal

from prefect import flow

from config.settings import load_settings
from tasks import facts
from tasks.catalog import (
    MARTS_BUILT,
    alert_revised_decisions,
    announce,
    build_all,
    check_all,
    judge_left_over,
    note,
    publish,
    tell,
    tell_of_failure,
)
from tasks.provenance import code_version
from trading.errors import Outdated

ROUNDS = 3


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def transform(
    mode: Literal["incremental", "full"] = "incremental", profile: str = "paper", chain: str | None = None
) -> None:
    """Bring staging, features and marts up to date, check them, and publish the result.

    Args:
        mode: `incremental` builds what changed; `full` starts every table over.
        profile: Settings, by the name of a file in config/.
        chain: Filled in by a trigger. Without it, nothing is started afterwards.
    """
    settings = load_settings(profile)
    left_over = judge_left_over(settings)
    for verdict in left_over:
        tell(f"Batch {verdict.batch_id} had landed and was not judged. It is {verdict.state} now.")

    def bring_up_to_date(again: int) -> None:
        built = build_all(settings, "incremental" if again else mode)
        tell(f"Built {len(built.stages)} stages{'' if built.changed else ', none of them new'}.")
        checks = check_all(settings)
        tell(f"Passed {len(checks)} checks.")
        published = publish(settings)
        tell(f"Published {published.path}.")
        note(facts.of_build(built, checks, published))

    undisturbed(bring_up_to_date, tell)
    for revised in alert_revised_decisions(settings):
        tell(f"Session {revised.session} used a candle that was revised since: {revised}.")
    if chain:
        announce(MARTS_BUILT, chain)
    for verdict in left_over:
        verdict.refuse_failed()


def undisturbed(attempt: Callable[[int], None], say: Callable[[str], None]) -> None:
    """Call `attempt` with 0, and again with the next number where something has landed in between.

    Raises:
        Outdated: something has, each of three times, as in the middle of a large backfill. The next run finds peace.
    """
    for number in range(ROUNDS - 1):
        try:
            return attempt(number)
        except Outdated as outdated:
            say(str(outdated))
    return attempt(ROUNDS - 1)
