"""What the probes ask, and how they take what comes back. Against the sandbox they are tested with the venue check."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from exchange.kraken.probes import asking
from exchange.kraken.probes.asking import QUESTIONS, Addresses, Answer, Asker
from exchange.kraken.probes.questions import CALLS, LISTENINGS, kind_of
from trading.errors import ExchangeUnavailable

Handler = Callable[[web.Request], Any]


def asked(handler: Handler, name: str, listens_s: float = 5.0) -> Answer:
    """The answer to one question, from a server of one handler."""

    async def ask() -> Answer:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host = f"127.0.0.1:{runner.addresses[0][1]}"
        addresses = Addresses(f"http://{host}", f"ws://{host}/v2", f"http://{host}", f"ws://{host}/ws/v1")
        try:
            async with Asker(addresses, None, listens_s=listens_s) as asker:
                return await asker.ask(name)
        finally:
            await runner.cleanup()

    return asyncio.run(ask())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE_S", 0.001)


@pytest.mark.parametrize(
    ("side", "message", "kind"),
    [
        ("spot", {"channel": "book", "type": "snapshot"}, "book snapshot"),
        ("spot", {"channel": "heartbeat"}, "heartbeat"),
        ("spot", {"method": "subscribe", "success": True, "result": {"channel": "ohlc"}}, "subscribe ohlc"),
        ("spot", {"method": "subscribe", "success": False, "error": "no"}, "subscribe refused"),
        ("spot", {"method": "pong"}, "pong"),
        ("futures", {"event": "subscribed", "feed": "book"}, "subscribed book"),
        ("futures", {"event": "info", "version": 1}, "info"),
        ("futures", {"feed": "book_snapshot"}, "book_snapshot"),
        ("futures", {}, "unknown"),
        ("spot", None, "no object"),
    ],
)
def test_a_message_is_of_one_kind(side, message, kind):
    assert kind_of(side, message) == kind


def test_questions_have_names_of_their_own():
    assert len(QUESTIONS) == len(CALLS) + len(LISTENINGS)


def test_what_comes_by_chance_is_all_that_a_listening_may_lack():
    for listening in LISTENINGS:
        assert len(listening.waits_for - listening.by_chance) > 5


def test_a_redirect_is_an_answer_and_leads_nowhere():
    async def elsewhere(request: web.Request) -> web.Response:
        assert request.path == "/0/public/Time"
        return web.Response(status=302, headers={"Location": "/other"}, text="moved")

    answer = asked(elsewhere, "spot Time")
    assert (answer.status, answer.messages) == (302, (("", "moved"),))


def test_a_cookie_is_never_sent_back():
    cookies: list[str | None] = []

    async def baking(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(status=503, text="", headers={"Set-Cookie": "id=1"})

    with pytest.raises(ExchangeUnavailable, match="spot Time: HTTP 503"):
        asked(baking, "spot Time")
    assert cookies == [None] * asking.ATTEMPTS


def test_what_was_said_before_the_venue_hung_up_is_an_answer():
    async def greeting(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"event":"info","version":1}')
        return socket

    assert asked(greeting, "futures WebSocket v1").messages == (("info", '{"event":"info","version":1}'),)


def test_not_a_word_is_no_answer():
    async def silent(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    with pytest.raises(ExchangeUnavailable, match=r"not a word in 0\.05 s"):
        asked(silent, "spot WebSocket v2", listens_s=0.05)


def test_of_one_kind_only_the_first_messages_are_kept():
    async def chatting(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for number in range(100):
            await socket.send_str(f'{{"feed":"trade","seq":{number}}}')
        return socket

    answer = asked(chatting, "futures WebSocket v1")
    assert [text for _, text in answer.messages] == [
        f'{{"feed":"trade","seq":{number}}}' for number in range(asking.MESSAGES_OF_A_KIND)
    ]
