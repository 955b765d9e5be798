"""Once a day: what is published, looked at as a whole."""

from datetime import date

from prefect import flow

from config.settings import load_settings
from tasks import facts
from tasks.catalog import note, tell, tell_of_failure, validate_day
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def validate(day: date | None = None, profile: str = "paper") -> None:
    """Put one day of what is published before Great Expectations. What is out of range is alerted, and the run fails.

    Args:
        day: A day of UTC. Left out: yesterday.
        profile: Settings, by the name of a file in config/.
    """
    report = validate_day(load_settings(profile), day)
    for sentence in report.sentences:
        tell(sentence)
    note(facts.of_day(report))
    report.refuse_failed()
