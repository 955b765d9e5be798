"""The check asks somebody else's machines, so it never starts unasked, and never where nobody watches."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

SWITCH = "VENUE_CHECK"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Addresses(Protocol):
    """Where a venue is."""

    @property
    def spot_rest(self) -> str: ...
    @property
    def spot_ws(self) -> str: ...
    @property
    def futures_rest(self) -> str: ...
    @property
    def futures_ws(self) -> str: ...


def refusal(
    addresses: Addresses, *, calls: int, listenings: int, is_confirmed: bool, environment: Mapping[str, str]
) -> str | None:
    """Why the check does not start and what it would do; None: it may."""
    if environment.get("CI") and not _is_here(addresses):
        return "The venue is never asked from a CI job. Run the check on a machine of your own."
    if is_confirmed or environment.get(SWITCH) == "1":
        return None
    return f"""\
This would ask {_hosts(addresses)}, read-only and without a key:
  {calls} public calls, under the rate budget, and {listenings} WebSockets for some seconds each.
Replies are kept redacted under the state folder and compared, by shape, with those of a sandbox on this machine.
Say so with --yes or {SWITCH}=1."""


def _is_here(addresses: Addresses) -> bool:
    return all(urlsplit(url).hostname in LOOPBACK for url in _urls(addresses))


def _hosts(addresses: Addresses) -> str:
    return ", ".join(dict.fromkeys(urlsplit(url).netloc for url in _urls(addresses)))


def _urls(addresses: Addresses) -> tuple[str, ...]:
    return addresses.spot_rest, addresses.spot_ws, addresses.futures_rest, addresses.futures_ws
