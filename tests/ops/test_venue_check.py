"""The check against a sandbox with planted differences: each is found where it was planted, and nothing else is."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from exchange.kraken.budget import Budget
from exchange.kraken.probes.asking import Addresses, Asker
from exchange.kraken.probes.questions import CALLS, LISTENINGS
from exchange.sandbox import serving
from exchange.sandbox.server import Sandbox
from ops.cli import main
from ops.clock import SystemClock
from ops.venue import consent
from ops.venue.check import SOME, UNANSWERED, Findings, Question, check
from tasks.sandboxes.venue_check import QUESTIONS as ASKED
from tasks.sandboxes.venue_check import venue_addresses
from trading.errors import ExchangeUnavailable

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
QUESTIONS = {question.name: question for question in ASKED}
Plant = Callable[[Any], object]  # changes a message in place


class Proxy:
    """Passes everything on to a sandbox, and its answers back with what is planted in them."""

    def __init__(self, sandbox: Sandbox, plant: Plant, text: str | None = None, status: int | None = None) -> None:
        self._sandbox = sandbox
        self._plant = plant
        self._text = text
        self._status = status
        self.asked: list[str] = []

    async def start(self) -> tuple[Addresses, web.AppRunner]:
        application = web.Application()
        application.router.add_route("*", "/{side}/{path:.*}", self._pass_on)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host = f"127.0.0.1:{runner.addresses[0][1]}"
        return Addresses(
            f"http://{host}/spot", f"ws://{host}/spot/v2", f"http://{host}/futures", f"ws://{host}/futures/ws/v1"
        ), runner

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        urls = self._sandbox.urls
        host = urls.spot_rest if request.match_info["side"] == "spot" else urls.futures_rest
        url = f"{host}/{request.match_info['path']}"
        async with aiohttp.ClientSession() as http:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._relay(request, http, url)
            self.asked.append(request.path_qs)
            async with http.get(url, params=request.query) as reply:
                text = self._text or self._changed(await reply.text())
                return web.Response(text=text, status=self._status or reply.status)

    async def _relay(self, request: web.Request, http: aiohttp.ClientSession, url: str) -> web.WebSocketResponse:
        theirs = web.WebSocketResponse()
        await theirs.prepare(request)
        async with http.ws_connect(url) as ours:
            forward = asyncio.create_task(self._forward(theirs, ours))
            async for message in ours:
                if theirs.closed:
                    break
                await theirs.send_str(self._changed(message.data))
            forward.cancel()
        return theirs

    async def _forward(self, theirs: web.WebSocketResponse, ours: aiohttp.ClientWebSocketResponse) -> None:
        async for message in theirs:
            await ours.send_str(message.data)
        await ours.close()

    def _changed(self, text: str) -> str:
        message = json.loads(text)
        self._plant(message)
        return json.dumps(message)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own, so that a sandbox can outlive a test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def sandbox(loop: asyncio.AbstractEventLoop) -> Iterator[Sandbox]:
    """The sample's candles, fast enough for everything to be sent within a second."""
    market = serving.market_of_files(sorted(SAMPLE.glob("*_15.csv")), seed=1, moments=90)
    sandbox = Sandbox(market, speed=120, has_limits=False, drops_idle=False)
    asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result(60)
    yield sandbox
    asyncio.run_coroutine_threadsafe(sandbox.__aexit__(None, None, None), loop).result(60)


def own(sandbox: Sandbox) -> Addresses:
    urls = sandbox.urls
    return Addresses(urls.spot_rest, urls.spot_ws, urls.futures_rest, urls.futures_ws)


@pytest.fixture
def checked(loop, sandbox, tmp_path) -> Callable[..., Findings]:
    """Asks some questions, or all, of a proxy that plants something, and of the sandbox behind it."""

    async def ask(questions: list[Question], proxy: Proxy) -> Findings:
        addresses, runner = await proxy.start()
        try:
            async with Asker(addresses, None, listens_s=5) as venue, Asker(own(sandbox), None) as mine:
                return await check(questions, venue.ask, mine.ask, tmp_path, lambda _: None)
        finally:
            await runner.cleanup()

    def run(*names: str, plant: Plant = lambda _: None, **options: Any) -> Findings:
        asked = [QUESTIONS[name] for name in names] or list(QUESTIONS.values())
        return asyncio.run_coroutine_threadsafe(ask(asked, Proxy(sandbox, plant, **options)), loop).result(120)

    return run


def test_an_unmodified_sandbox_shows_no_difference(checked):
    findings = checked()
    assert findings.differences == ()
    assert findings.unanswered == ()
    assert findings.questions == 27
    assert findings.code == 0
    # By chance an update of a book has changed one side only, and a heartbeat came to one of the two only.
    seen_by_one = {found.difference.path.partition(".")[0] for found in findings.uncompared}
    assert seen_by_one <= {"book update", "heartbeat"}


def rename(holder: dict[str, Any], old: str, new: str) -> None:
    holder[new] = holder.pop(old)


def each(rows: list[Any], change: Callable[[Any], object]) -> None:
    for row in rows:
        change(row)


def in_frames(kind: str, change: Callable[[Any], object]) -> Plant:
    """Changes only frames of one kind: `channel type` on spot, the feed on futures."""

    def plant(frame: Any) -> None:
        if kind in (f"{frame.get('channel')} {frame.get('type')}", frame.get("feed")) and "event" not in frame:
            change(frame)

    return plant


BTC = "XXBTZUSD"
CASES: dict[str, tuple[str, Plant, set[tuple[str, str]]]] = {
    "a field renamed, in a map keyed by pairs": (
        "spot AssetPairs",
        lambda reply: each(list(reply["result"].values()), lambda pair: rename(pair, "tick_size", "tickSize")),
        {("result.*.tick_size", "missing at venue"), ("result.*.tickSize", "missing in sandbox")},
    ),
    "a field that only one pair lacks": (
        "spot AssetPairs",
        lambda reply: reply["result"][BTC].pop("costmin"),
        {("result.*.costmin", "other nullability")},
    ),
    "a number where there was text, in a row": (
        "spot OHLC",
        lambda reply: each(reply["result"][BTC], lambda row: row.__setitem__(4, float(row[4]))),
        {("result.*[][4]", "other type")},
    ),
    "one place more in a row": (
        "spot Trades",
        lambda reply: each(reply["result"][BTC], lambda row: row.append("new")),
        {("result.*[][7]", "missing in sandbox")},
    ),
    "a cursor that is a number": (
        "spot Trades",
        lambda reply: reply["result"].update(last=int(reply["result"]["last"])),
        {("result.last", "other type")},
    ),
    "a value that may be null": (
        "spot Ticker",
        lambda reply: reply["result"][BTC].update(o=None),
        {("result.*.o", "other nullability")},
    ),
    "a field dropped": (
        "spot Time",
        lambda reply: reply["result"].pop("rfc1123"),
        {("result.rfc1123", "missing at venue")},
    ),
    "a field added, deep inside": (
        "futures instruments",
        lambda reply: reply["instruments"][0]["marginLevels"][0].update(tier=1),
        {("instruments[].marginLevels[].tier", "missing in sandbox")},
    ),
    "text where there was a number": (
        "futures tickers",
        lambda reply: each(reply["tickers"], lambda row: row.update(markPrice=str(row["markPrice"]))),
        {("tickers[].markPrice", "other type")},
    ),
    "an object where there was a row": (
        "futures orderbook",
        lambda reply: reply["orderBook"].update(bids=[{"price": 1, "qty": 1}]),
        {("orderBook.bids[]", "other type")},
    ),
    "a number where there was text": (
        "futures trade chart",
        lambda reply: each(reply["candles"], lambda row: row.update(open=float(row["open"]))),
        {("candles[].open", "other type")},
    ),
    "a name of the same rates that changed": (
        "futures historical-funding-rates",
        lambda reply: each(reply["rates"], lambda row: rename(row, "fundingRate", "rate")),
        {("rates[].fundingRate", "missing at venue"), ("rates[].rate", "missing in sandbox")},
    ),
    "a field renamed in a snapshot": (
        "spot WebSocket v2",
        in_frames("ohlc snapshot", lambda frame: each(frame["data"], lambda row: rename(row, "vwap", "average"))),
        {("ohlc snapshot.data[].vwap", "missing at venue"), ("ohlc snapshot.data[].average", "missing in sandbox")},
    ),
    "a feed that says nothing": (
        "spot WebSocket v2",
        in_frames("trade snapshot", lambda frame: rename(frame, "type", "kind")),
        {("trade snapshot", "missing at venue"), ("trade", "missing in sandbox")},
    ),
    "a time that became text": (
        "futures WebSocket v1",
        in_frames("ticker", lambda frame: frame.update(time=str(frame["time"]))),
        {("ticker.time", "other type")},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("question", "plant", "expected"), CASES.values(), ids=CASES)
def test_a_planted_difference_is_found_where_it_was_planted(checked, question, plant, expected):
    findings = checked(question, plant=plant)
    assert {(found.difference.path, found.difference.finding) for found in findings.differences} == expected
    assert {found.question for found in findings.differences} == {question}
    assert findings.code == SOME


def test_an_error_instead_of_a_result_is_a_difference(checked):
    refused = '{"error":["EGeneral:Unknown method"]}'
    findings = checked("spot Time", text=refused)
    assert [(each.difference.path, each.difference.finding) for each in findings.differences] == [
        ("result", "missing at venue")
    ]


def test_the_same_answer_with_another_http_status_is_a_difference(checked):
    (found,) = checked("futures orderbook of nothing", status=200).differences
    assert found.difference == ("", "other status", "200", "400")


def test_text_that_is_no_json_is_a_difference(checked):
    (found,) = checked("spot Time", text="gone").differences
    assert found.difference == ("", "other type", "no JSON", "object")


def test_a_venue_that_is_down_is_no_difference_but_no_answer(checked, monkeypatch):
    monkeypatch.setattr("exchange.kraken.probes.asking.FIRST_PAUSE_S", 0.01)
    findings = checked("spot Time", "spot Assets", text="<html>busy</html>", status=503)
    assert [question for question, _ in findings.unanswered] == ["spot Time", "spot Assets"]
    assert findings.differences == ()
    assert findings.code == UNANSWERED


def test_after_three_questions_without_an_answer_no_more_are_asked(checked, monkeypatch):
    monkeypatch.setattr("exchange.kraken.probes.asking.FIRST_PAUSE_S", 0.01)
    findings = checked(text="", status=502)
    assert [reason for _, reason in findings.unanswered[3:]] == ["not asked any more"] * 24
    assert len(findings.unanswered) == 27


def test_nobody_there_is_no_answer_either(sandbox, loop, monkeypatch):
    monkeypatch.setattr("exchange.kraken.probes.asking.FIRST_PAUSE_S", 0.01)
    nowhere = Addresses(*["http://127.0.0.1:9"] * 4)

    async def ask(name: str) -> None:
        async with Asker(nowhere, None, timeout_s=2) as venue:
            await venue.ask(name)

    for name in ("spot Time", "spot WebSocket v2"):
        with pytest.raises(ExchangeUnavailable, match=f"{name}: no answer .* Ask again later"):
            asyncio.run_coroutine_threadsafe(ask(name), loop).result(30)


def test_the_venue_is_asked_under_the_rate_budget(sandbox, loop):
    budget = Budget(SystemClock())

    async def ask() -> None:
        async with Asker(own(sandbox), budget) as venue:
            for name in ("spot OHLC", "futures tickers", "spot WebSocket v2"):
                await venue.ask(name)

    asyncio.run_coroutine_threadsafe(ask(), loop).result(60)
    used = budget.snapshot()
    assert used["all"]["calls"] == 3
    assert {"spot", "spot BTC/USD", "futures"} <= used.keys()


def test_every_question_reads_only():
    asked = [frame for listening in LISTENINGS for frame in listening.says]
    assert {frame.get("method", frame.get("event")) for frame in asked} == {"ping", "subscribe"}
    assert all("/private/" not in call.path for call in CALLS)


@pytest.fixture
def address_file(sandbox, tmp_path) -> Path:
    file = tmp_path / "venue.json"
    file.write_text(json.dumps(own(sandbox)._asdict()))
    return file


def test_the_command_compares_and_writes_its_report(address_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    assert main(["venue-check", "--yes", "--at", str(address_file)]) == 0
    (folder,) = (tmp_path / ".slipway" / "venue-check").iterdir()
    assert {file.name for file in folder.iterdir()} == {"replies", "report.json", "report.md"}
    assert json.loads((folder / "report.json").read_text())["differences"] == []
    said = capsys.readouterr().out
    assert "27/27 futures WebSocket v1" in said
    assert "27 questions, no difference." in said
    assert str(folder / "report.md") in said


def test_unasked_it_says_what_it_would_do_and_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    for name in ("VENUE_CHECK", "CI"):
        monkeypatch.delenv(name, raising=False)
    assert main(["venue-check"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "would ask api.kraken.com, ws.kraken.com, futures.kraken.com, read-only and without a key" in said.err
    assert "--yes or VENUE_CHECK=1" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_ci_job_never_asks_the_venue(address_file):
    options = {"calls": 21, "listenings": 2, "is_confirmed": True, "environment": {"CI": "true"}}
    assert "never asked from a CI job" in str(consent.refusal(Addresses(), **options))
    assert consent.refusal(venue_addresses(address_file), **options) is None


def test_a_file_that_names_no_venue_is_refused(tmp_path, capsys):
    for name, text in (("none.json", None), ("list.json", "[]"), ("half.json", '{"spot_rest": "http://h"}')):
        if text:
            (tmp_path / name).write_text(text)
        assert main(["venue-check", "--at", str(tmp_path / name)]) == 1
        assert f"{name} has not the addresses of a venue" in capsys.readouterr().err


def test_raw_replies_of_both_are_kept(checked, tmp_path):
    checked("spot OHLC", "futures WebSocket v1")
    for side in ("venue", "sandbox"):
        folder = tmp_path / "replies" / side
        assert sorted(file.name for file in folder.iterdir()) == ["futures-websocket-v1.json", "spot-ohlc.json"]
        kept = json.loads((folder / "spot-ohlc.json").read_text())
        assert kept["url"].endswith("/0/public/OHLC?pair=XBTUSD&interval=15")
        assert len(kept["messages"][0]["body"]["result"][BTC]) == 721
