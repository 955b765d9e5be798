"""What keeps the data safe and small: backups, the drill that proves them, and tidying up. See docs/lifecycle.md."""

from prefect import flow

from config.settings import load_settings
from tasks import facts
from tasks.catalog import (
    back_up,
    compact,
    forget_old_files,
    forget_old_rows,
    forget_old_runs,
    note,
    rehearse_restore,
    tell,
    tell_of_failure,
)
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def backup(profile: str = "paper") -> None:
    """Copy the warehouse and all journals, prove the copies, and delete the backups that are past their limit.

    Args:
        profile: Settings, by the name of a file in config/.
    """
    made = back_up(load_settings(profile))
    for sentence in made.sentences:
        tell(sentence)
    note(facts.of_backup(made))
    made.refuse_left_out()


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def drill(profile: str = "paper") -> None:
    """Restore the newest backup beside everything, and compare: a backup nobody has restored is a hope.

    Args:
        profile: Settings, by the name of a file in config/.
    """
    proven = rehearse_restore(load_settings(profile))
    for sentence in proven.sentences:
        tell(sentence)
    note(facts.of_drill(proven))


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def tidy(profile: str = "paper") -> None:
    """Throw away what is past its limit, counted, and give its room back. The log says the counts.

    Args:
        profile: Settings, by the name of a file in config/.
    """
    settings = load_settings(profile)
    rows = forget_old_rows(settings)
    compacted = compact(settings)
    files = forget_old_files(settings)
    runs = forget_old_runs(settings)
    removed = facts.of_tidying(rows, compacted, files, runs)
    for what, count in removed.items():
        tell(f"{what}: {count}")
    note(removed)
