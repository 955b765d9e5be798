"""Raw replies, kept for later: as they came, but for what nobody else may read."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

REDACTED = "[redacted]"
SHOWN_HEADERS = frozenset(
    {"cache-control", "content-encoding", "content-length", "content-type", "date", "retry-after", "server"}
)
# Names as they are after case and everything that is no letter were dropped: `API-Sign` is `apisign`.
SECRET_NAMES = frozenset({"authent", "authorization", "challenge", "key", "nonce", "otp", "sign"})
SECRET_ENDINGS = ("apikey", "apisign", "cookie", "password", "privatekey", "secret", "signature", "token", "challenge")
EXCERPT = 2_000  # characters of a reply that is no JSON: a page of whatever stands before the venue


class Answer(Protocol):
    """What came: of a call one message, of a WebSocket many, each with its kind."""

    @property
    def url(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Iterable[tuple[str, str]]: ...
    @property
    def messages(self) -> Iterable[tuple[str, str]]: ...


def keep(answer: Answer, name: str, folder: Path) -> Path:
    """Write the answer to the question `name` into `folder`, redacted."""
    path = folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.json"
    content = {
        "question": name,
        "url": answer.url,
        "status": answer.status,
        "headers": redacted_headers(answer.headers),
        "messages": [{"kind": kind, "body": redacted(text)} for kind, text in answer.messages],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def redacted(text: str) -> Any:
    """The JSON of a reply, its numbers digit for digit, without the values of fields that are named like secrets.

    Of a text that is no JSON the beginning.
    """
    try:
        return _without_secrets(json.loads(text, parse_float=_as_written, parse_int=_as_written))
    except (ValueError, RecursionError):
        return text[:EXCERPT]


def redacted_headers(headers: Iterable[tuple[str, str]]) -> list[list[str]]:
    """All names, and the values of those that are known to be harmless."""
    return [[name, value if name.lower() in SHOWN_HEADERS else REDACTED] for name, value in headers]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: REDACTED if _is_secret(name) and inner is not None else _without_secrets(inner)
            for name, inner in value.items()
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def _is_secret(name: str) -> bool:
    letters = re.sub("[^a-z]", "", name.lower())
    return letters in SECRET_NAMES or letters.endswith(SECRET_ENDINGS)


def _as_written(digits: str) -> orjson.Fragment:
    return orjson.Fragment(digits)
