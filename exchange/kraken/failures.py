"""What can go wrong when Kraken is asked, in our words: judged by status and body, not by a library's error classes."""

from typing import Any

from trading.errors import ExchangeUnavailable, InputUnusable

EXCERPT = 300  # characters of a reply that an error repeats
TOO_MANY = ("rate limit exceeded", "too many requests", "temporary lockout", "apilimitexceeded", "limit exceeded:cal")
TRY_AGAIN = (
    "eservice:unavailable",
    "eservice:busy",
    "eservice:deadline elapsed",
    "egeneral:internal error",
    "edatabase:internal error",
    "unavailable",
    "server error",
    "unknownerror",
)
TOO_EARLY, TOO_SLOW, TOO_MANY_REQUESTS = 425, 408, 429


class RateLimited(ExchangeUnavailable):
    """The venue says that we ask too much. Wait; the budget does. `everywhere`: said by its edge, of all our calls."""

    def __init__(self, sentence: str, *, everywhere: bool) -> None:
        super().__init__(sentence)
        self.everywhere = everywhere


class RequestRefused(InputUnusable):
    """The venue will not answer what was asked, however often: a name or an argument is wrong. `word` is its own."""

    def __init__(self, request: str, word: str) -> None:
        super().__init__(f"{request}: Kraken refuses, {word!r}. Mend the request: asking again does not help.")
        self.word = word


class UnreadableReply(InputUnusable):
    """The reply is not what the venue's protocol says. `field` is where, `message` what was there."""

    def __init__(self, reply: str, field: str, reason: str, message: str) -> None:
        super().__init__(
            f"{reply}: {field} {reason}, in {message[:EXCERPT]!r}. "
            "Compare with the venue's documentation: it may have changed. Nothing was landed."
        )
        self.field = field
        self.message = message


def judge(request: str, status: int, body: str, payload: Any) -> None:
    """Nothing, when the reply is one that can be parsed. `payload` is its JSON, None when it is none.

    Raises RateLimited, ExchangeUnavailable, RequestRefused, UnreadableReply.
    """
    if status == TOO_MANY_REQUESTS:
        raise RateLimited(f"{request}: HTTP 429. Wait before the next call.", everywhere=True)
    if status >= 500 or status in (TOO_SLOW, TOO_EARLY):
        raise ExchangeUnavailable(f"{request}: HTTP {status}, {_excerpt(body)}. Ask again later.")
    words = _words(payload)
    if words:
        _judge_words(request, words)
    if status >= 400:
        raise RequestRefused(request, f"HTTP {status} {_excerpt(body)}")
    if payload is None:
        _judge_no_json(request, body)


def _words(payload: Any) -> list[str]:
    """The errors in a reply of either side: a list of words, one word, or objects with a message."""
    if not isinstance(payload, dict):
        return []
    errors = payload.get("error") or payload.get("errors") or []
    if isinstance(errors, str):
        return [errors]
    if not isinstance(errors, list):
        return [str(errors)]
    # A leading W is a warning, and comes with a result.
    words = [str(each.get("message", each)) if isinstance(each, dict) else str(each) for each in errors]
    return [word for word in words if not word.startswith("W")]


def _judge_words(request: str, words: list[str]) -> None:
    said = "; ".join(words)
    if any(limit in word.lower() for word in words for limit in TOO_MANY):
        raise RateLimited(f"{request}: {said!r}. Wait before the next call.", everywhere=False)
    if any(word.lower().startswith(TRY_AGAIN) for word in words):
        raise ExchangeUnavailable(f"{request}: {said!r}. Ask again later.")
    raise RequestRefused(request, said)


def _judge_no_json(request: str, body: str) -> None:
    # An empty body or a page is what the edge in front of the venue answers with: under load, or in its place.
    if not body.strip() or body.lstrip().startswith("<"):
        raise ExchangeUnavailable(f"{request}: {_excerpt(body)} where JSON is expected. Ask again later.")
    raise UnreadableReply(request, "body", "is no JSON", body)


def _excerpt(body: str) -> str:
    text = " ".join(body.split())
    return repr(text[:EXCERPT]) if text else "an empty body"
