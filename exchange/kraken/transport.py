"""HTTP to Kraken through ccxt: its raw endpoint methods, without its rate limiter, its numbers and its errors.

ccxt reads fractions as floats and sorts errors into classes that drop what the venue said. Both are replaced: replies
keep their exact decimals, and `failures.judge` says what a reply is.
"""

import re
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from ccxt import BaseError, NetworkError  # type: ignore[import-untyped]
from ccxt.async_support import kraken, krakenfutures  # type: ignore[import-untyped]

from exchange.kraken.failures import judge
from exchange.kraken.parse import exact_json
from trading.errors import ExchangeUnavailable

RawMethod = Callable[[dict[str, Any]], Awaitable[Any]]
HOST = re.compile(r"^https?://[^/]+")


class _Exact:
    """What both exchanges do otherwise than ccxt."""

    def parse_json(self, http_response: str) -> Any:
        return exact_json(http_response)

    def handle_errors(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, response: Any, *_: Any
    ) -> None:
        judge(f"{method} {HOST.sub('', url)}", code, body, response)


class _Spot(_Exact, kraken):  # type: ignore[misc]  # ccxt has no types
    pass


class _Futures(_Exact, krakenfutures):  # type: ignore[misc]
    pass


def spot(url: str, timeout_s: float) -> Any:
    """Kraken spot at this address, a host without a path."""
    urls = {"api": dict.fromkeys(("public", "private", "zendesk"), url)}
    return _trusting(_Spot(_options(timeout_s) | {"urls": urls}))


def futures(url: str, timeout_s: float) -> Any:
    """Kraken Futures at this address, a host without a path."""
    # Every address is given: one that is forgotten would still be production's.
    derivatives = f"{url}/derivatives/api/"
    others = {name: f"{url}/api/{name}/" for name in ("charts", "history", "feeschedules")}
    urls = {"api": {"public": derivatives, "private": derivatives, **others}}
    return _trusting(_Futures(_options(timeout_s) | {"urls": urls}))


async def ask(request: str, method: RawMethod, arguments: dict[str, Any]) -> Any:
    """The reply to one request, judged and with exact decimals.

    Raises ExchangeUnavailable (RateLimited among them), RequestRefused, UnreadableReply.
    """
    try:
        return await method(arguments)
    except NetworkError as error:  # refused, reset, silent for too long
        raise ExchangeUnavailable(f"{request}: no answer ({_cause(error)}). Ask again later.") from error
    except BaseError as error:  # of ccxt only a broken transfer is left: replies are judged by us
        raise ExchangeUnavailable(f"{request}: the answer broke off ({_cause(error)}). Ask again later.") from error


def _options(timeout_s: float) -> dict[str, Any]:
    return {
        "enableRateLimit": False,
        "timeout": round(timeout_s * 1000),
        "timeout_on_exit": 0,
        "enableLastHttpResponse": False,
        "enableLastJsonResponse": False,
        "enableLastResponseHeaders": False,
    }


def _trusting(client: Any) -> Any:
    client.ssl_context = _trust(client.cafile)
    return client


@cache  # reading all certificates takes longer than several requests
def _trust(certificates: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates)


def _cause(error: BaseException) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
