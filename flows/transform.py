"""Everything downstream of raw: staging, features, marts; checked, then published."""

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
    built = build_all(settings, mode)
    tell(f"Built {len(built.stages)} stages{'' if built.changed else ', none of them new'}.")
    checks = check_all(settings)
    tell(f"Passed {len(checks)} checks.")
    published = publish(settings)
    tell(f"Published {published.path}.")
    note(facts.of_build(built, checks, published))
    for revised in alert_revised_decisions(settings):
        tell(f"Session {revised.session} used a candle that was revised since: {revised}.")
    if chain:
        announce(MARTS_BUILT, chain)
    for verdict in left_over:
        verdict.refuse_failed()
