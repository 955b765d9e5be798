"""A session that can't start says so (I55): nobody may believe in a session that isn't there.

What it can say depends on how far it got. Without settings, the channels are those that the TOML files still give
away; with settings but no journal, all of them, at once; with a journal, its outbox (`ops.alerts`).
"""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from config import settings
from ops.alerts import Channels
from ops.clock import SystemClock
from trading.errors import SlipwayError
from trading.ports import Alerts

E = TypeVar("E", bound=BaseException)

TOLD: Final = "An alert told of it."


def session_settings(profile: str) -> settings.Settings:
    """The settings of one profile, for a session; without them, an alert.

    Raises SetupFailed: the settings can't be used; see `load_settings`.
    """
    return settings_or_alert(profile, f"session-not-started:{profile}", f"session can't start: profile {profile}")


def settings_or_alert(profile: str, key: str, title: str) -> settings.Settings:
    """The same for anything else, with the key and the title that the alert is to have."""
    with told(Channels(_readable_urls(profile), SystemClock()), key, title):
        return settings.load_settings(profile)


@contextmanager
def told(alerts: Alerts, key: str, title: str) -> Iterator[None]:
    """Any error is told as a critical alert, then goes its way; `key` is that of the alert."""
    try:
        yield
    except Exception as error:  # swallowed is none; one that nobody foresaw stops a session no less
        alerts.send(key, "critical", title, sentence_of(error))
        marked_as_told(error)
        raise


def marked_as_told(error: E) -> E:
    """The same error, with a note that an alert said what it says: the flow that it ends needs no second one."""
    error.add_note(TOLD)
    return error


def was_told(error: BaseException | None) -> bool:
    """Whether an alert said before what this error says."""
    return TOLD in getattr(error, "__notes__", ())


def sentence_of(error: BaseException) -> str:
    """For a person; of an error that nobody foresaw its name, too."""
    return str(error) if isinstance(error, SlipwayError) else repr(error)


def _readable_urls(profile: str) -> list[str]:
    """`alerts.urls` of the profile, else of base.toml, from whichever of them can be read at all."""
    for name in (profile, "base"):
        try:
            content = tomllib.loads((settings.PROFILES / f"{name}.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # `load_settings` says what is wrong with it
            continue
        match content:
            case {"alerts": {"urls": [*urls]}}:
                return [url for url in urls if isinstance(url, str)]
    return []
