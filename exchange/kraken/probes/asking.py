"""Asking: under the rate budget, and giving back what came as it came."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from exchange.kraken.budget import Budget
from exchange.kraken.costs import futures_call, spot_call
from exchange.kraken.failures import RequestRefused, UnreadableReply, judge
from exchange.kraken.parse import exact_json
from exchange.kraken.probes.questions import CALLS, LISTENINGS, Call, Listening, Side, kind_of
from trading.errors import ExchangeUnavailable

ATTEMPTS, FIRST_PAUSE_S = 3, 1.0
MESSAGES_OF_A_KIND = 20  # are kept: more show nothing new
LARGEST_MESSAGE = 64 * 2**20  # bytes; the list of all instruments is one message
SWITCHING_PROTOCOLS = 101
QUESTIONS: Mapping[str, Call | Listening] = {
    **{call.name: call for call in CALLS},
    **{listening.name: listening for listening in LISTENINGS},
}


class Addresses(NamedTuple):
    """Where a venue is; unless it is said, the venue itself. REST addresses are hosts without a path."""

    spot_rest: str = "https://api.kraken.com"
    spot_ws: str = "wss://ws.kraken.com/v2"
    futures_rest: str = "https://futures.kraken.com"
    futures_ws: str = "wss://futures.kraken.com/ws/v1"


class Answer(NamedTuple):
    """What came. A call has one message, of no kind; a WebSocket has many."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    messages: tuple[tuple[str, str], ...]  # kind, text


class Asker:
    """Asks one venue, as an async context manager. Without a budget nothing is waited for: a sandbox of one's own."""

    _http: aiohttp.ClientSession

    def __init__(
        self, addresses: Addresses, budget: Budget | None, *, timeout_s: float = 10.0, listens_s: float = 15.0
    ) -> None:
        self._addresses = addresses
        self._budget = budget
        self._timeout_s = timeout_s
        self._listens_s = listens_s

    async def __aenter__(self) -> Self:
        # No cookie that is set is ever sent back, and no proxy is asked for credentials.
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_s), cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def ask(self, name: str) -> Answer:
        """The answer to one of `QUESTIONS`, also when it is an error of the venue's, or no JSON.

        Raises ExchangeUnavailable: there was none, however often it was asked.
        """
        question = QUESTIONS[name]
        attempt = 1
        while True:
            try:
                async with self._spent(question):
                    return await (self._get(question) if isinstance(question, Call) else self._hear(question))
            except ExchangeUnavailable:
                if attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            attempt += 1

    def _spent(self, question: Call | Listening) -> AbstractAsyncContextManager[None]:
        if self._budget is None:
            return nullcontext()
        if question.side == "futures":
            return self._budget.spent(futures_call())
        return self._budget.spent(spot_call(question.pair if isinstance(question, Call) else ""))

    async def _get(self, call: Call) -> Answer:
        host = self._addresses.spot_rest if call.side == "spot" else self._addresses.futures_rest
        try:
            async with self._http.get(host + call.path, params=call.query, allow_redirects=False) as reply:
                text = await reply.text(errors="replace")
                answer = Answer(str(reply.url), reply.status, tuple(reply.headers.items()), (("", text),))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExchangeUnavailable(f"{call.name}: no answer ({_cause(error)}). Ask again later.") from error
        try:
            judge(call.name, answer.status, text, exact_json(text))
        except (RequestRefused, UnreadableReply):
            return answer  # the venue did answer, and how it differs is what is asked here
        return answer

    async def _hear(self, listening: Listening) -> Answer:
        url = self._addresses.spot_ws if listening.side == "spot" else self._addresses.futures_ws
        try:
            async with self._http.ws_connect(url, max_msg_size=LARGEST_MESSAGE) as socket:
                for frame in listening.says:
                    await socket.send_str(json.dumps(frame))
                messages = await self._heard(socket, listening.side, listening.waits_for)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExchangeUnavailable(f"{listening.name}: no answer ({_cause(error)}). Ask again later.") from error
        if not messages:
            raise ExchangeUnavailable(f"{listening.name}: not a word in {self._listens_s:g} s. Ask again later.")
        return Answer(url, SWITCHING_PROTOCOLS, (), tuple(messages))

    async def _heard(
        self, socket: aiohttp.ClientWebSocketResponse, side: Side, waits_for: frozenset[str]
    ) -> list[tuple[str, str]]:
        """What is said until all that is waited for has come, the time is over, or the venue hangs up."""
        heard: dict[str, list[str]] = {}
        deadline = asyncio.get_running_loop().time() + self._listens_s
        while (left_s := deadline - asyncio.get_running_loop().time()) > 0 and not waits_for <= heard.keys():
            try:
                message = await socket.receive(left_s)
            except TimeoutError:
                break
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            texts = heard.setdefault(kind_of(side, exact_json(message.data)), [])
            if len(texts) < MESSAGES_OF_A_KIND:
                texts.append(message.data)
        return [(kind, text) for kind, texts in heard.items() for text in texts]


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
