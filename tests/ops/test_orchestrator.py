"""Our questions to a Prefect server: what is asked again, and what is given up with a sentence."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ops import orchestrator
from ops.orchestrator import Orchestrator
from trading.errors import SetupFailed

Reply = tuple[int, object]


class Server:
    """Answers from a list, the last one for ever; keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [(200, True)]
        self.asked: list[tuple[str, str, object]] = []
        self.headers: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                server.asked.append((self.command, self.path, json.loads(self.rfile.read(length) or "null")))
                server.headers.append(dict(self.headers))
                status, body = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer  # noqa: N815  # the names that http.server looks for

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(orchestrator, "PAUSES_S", (0.0, 0.0))
    for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def test_asks_again_while_the_server_is_busy(server: Server) -> None:
    server.replies = [(503, {}), (429, {}), (200, [])]
    with Orchestrator(server.url) as prefect:
        assert prefect.log_lines("x") == []
    assert len(server.asked) == 3


def test_gives_up_on_a_server_that_stays_busy_and_says_so(server: Server) -> None:
    server.replies = [(503, {"exception_message": "Service Unavailable"})]
    with Orchestrator(server.url) as prefect, pytest.raises(SetupFailed, match="does not answer: 503"):
        prefect.log_lines("x")


def test_a_run_that_is_asked_for_twice_is_started_once(server: Server) -> None:
    server.replies = [(503, {}), (200, {"id": "1", "name": "n", "created": "2026-01-01T00:00:00Z"})]
    with Orchestrator(server.url) as prefect:
        prefect.start_run("deployment", {"path": "x"})
    keys = {body["idempotency_key"] for _, _, body in server.asked if isinstance(body, dict)}
    assert len(keys) == 1


@pytest.mark.parametrize("detail", ["columns: 'open' is missing", [{"msg": "not a string"}]])
def test_a_refusal_is_not_asked_again_and_keeps_the_server_s_words(server: Server, detail: object) -> None:
    server.replies = [(409, {"detail": detail})]
    with Orchestrator(server.url) as prefect, pytest.raises(SetupFailed, match=r"missing|not a string"):
        prefect.start_run("deployment", {})
    assert len(server.asked) == 1


def test_a_server_that_is_down_is_not_healthy_and_does_not_raise(server: Server) -> None:
    with Orchestrator("http://127.0.0.1:9/api") as prefect:
        assert not prefect.is_healthy()
        with pytest.raises(SetupFailed, match="does not answer"):
            prefect.deployments()
    server.replies = [(500, {})]
    with Orchestrator(server.url) as prefect:
        assert not prefect.is_healthy()


def test_makes_the_pool_only_when_it_is_missing(server: Server) -> None:
    server.replies = [(404, {}), (200, {}), (200, {"name": "slipway"})]
    with Orchestrator(server.url) as prefect:
        prefect.ensure_process_pool("slipway")
        prefect.ensure_process_pool("slipway")
    assert [method for method, _, _ in server.asked] == ["GET", "POST", "GET"]


@pytest.mark.parametrize("data", ['[{"fact": "rows landed", "value": "7"}]', [{"fact": "rows landed", "value": "7"}]])
def test_reads_the_facts_of_a_run(server: Server, data: object) -> None:
    server.replies = [(200, [{"data": data}]), (200, [])]
    with Orchestrator(server.url) as prefect:
        assert prefect.facts("run") == {"rows landed": "7"}
        assert prefect.facts("run without a table") == {}


@pytest.mark.parametrize(
    ("variable", "value", "header"),
    [("PREFECT_API_KEY", "k", "Bearer k"), ("PREFECT_API_AUTH_STRING", "a:b:c", "Basic YTpiOmM=")],
)
def test_shows_the_credentials_that_prefect_s_own_client_would_show(
    server: Server, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, header: str
) -> None:
    monkeypatch.setenv(variable, value)
    with Orchestrator(server.url) as prefect:
        prefect.is_healthy()
    assert server.headers[0]["Authorization"] == header


def test_the_reason_of_a_failure_is_the_flow_s_own_sentence() -> None:
    run: Callable[[str], orchestrator.FlowRun] = lambda message: orchestrator.FlowRun(  # noqa: E731
        "1",
        "n",
        "d",
        "FAILED",
        "Failed",
        message,
        {},
        *(None,) * 3,
        0.0,  # type: ignore[arg-type]
    )
    assert run("Flow run encountered an exception: CheckFailed: one row").reason == "CheckFailed: one row"
    assert run("Process exited with status code -9").reason == "Process exited with status code -9"


def test_forgets_old_runs_of_its_own_that_dont_run_batch_by_batch(server: Server) -> None:
    server.replies = [
        (200, [{"id": "run-1"}, {"id": "run-2"}]),
        (200, []),
        (200, {"deleted": ["run-1", "run-2"]}),
        (200, []),
    ]
    with Orchestrator(server.url) as prefect:
        assert prefect.forget_runs("slipway", datetime(2026, 10, 23, tzinfo=UTC)) == 2
    questions = [(method, path) for method, path, _ in server.asked]
    assert questions == [
        ("POST", "/api/flow_runs/filter"),
        ("POST", "/api/artifacts/filter"),
        ("POST", "/api/flow_runs/bulk_delete"),
        ("POST", "/api/flow_runs/filter"),
    ]
    assert server.asked[0][2] == {
        "flow_runs": {
            "tags": {"all_": ["slipway"]},
            "expected_start_time": {"before_": "2026-10-23T00:00:00+00:00"},
            "state": {"type": {"not_any_": ["RUNNING"]}},
        },
        "limit": 50,
    }


def test_runs_that_somebody_else_deletes_meanwhile_are_not_asked_for_without_end(server: Server) -> None:
    server.replies = [(200, [{"id": "run-1"}]), (200, []), (200, {"deleted": []})]
    with Orchestrator(server.url) as prefect:
        assert prefect.forget_runs("slipway", datetime(2026, 10, 23, tzinfo=UTC)) == 0
    assert len(server.asked) == 3


def test_tells_how_far_a_run_says_it_is(server: Server) -> None:
    text = "3 of 8 jobs done, 4,000 rows  \n73 calls, 0 refused, 9 s waited\n- trades BTC/USD: running, 1 row, 2%"
    server.replies = [(200, [{"data": 61.7, "description": text}]), (200, [])]
    with Orchestrator(server.url) as prefect:
        assert prefect.progress("run-1") == "62 %, 3 of 8 jobs done, 4,000 rows"
        assert prefect.progress("run-2") == ""
    assert server.asked[0][2]["artifacts"] == {"flow_run_id": {"any_": ["run-1"]}, "type": {"any_": ["progress"]}}
