"""A session that can't start says so (I55): nobody may believe in a session that isn't there.

What it can say depends on how far it got. Without settings, the channels are those that the TOML files still give
away; with settings but no journal, all of them, at once; with a journal, its outbox (`ops.alerts`).
"""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

from config import settings
from ops.alerts import Channels
from ops.clock import SystemClock
from trading.errors import SlipwayError
from trading.ports import Alerts


def session_settings(profile: str) -> settings.Settings:
    """The settings of one profile, for a session; without them, an alert.

    Raises SetupFailed: the settings can't be used; see `load_settings`.
    """
    channels = Channels(_readable_urls(profile), SystemClock())
    with told(channels, f"session-not-started:{profile}", f"session can't start: profile {profile}"):
        return settings.load_settings(profile)


@contextmanager
def told(alerts: Alerts, key: str, title: str) -> Iterator[None]:
    """Any error is told as a critical alert, then goes its way; `key` is that of the alert."""
    try:
        yield
    except Exception as error:  # swallowed is none; one that nobody foresaw stops a session no less
        alerts.send(key, "critical", title, str(error) if isinstance(error, SlipwayError) else repr(error))
        raise


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
