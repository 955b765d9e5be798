"""The few questions we ask a Prefect server, over its REST API.

Plain HTTP and not Prefect's own client: that one takes two seconds to import, and `slipway status` has to be instant.
"""

import json
import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

import httpx

from trading.errors import SetupFailed

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
PAGE = 200  # the server's own limit for one answer
BATCH = 50  # the server's own limit for what is deleted at once
BUSY = {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS}
PAUSES_S = (0.1, 0.3, 1.0, 3.0, 5.0, 5.0)


class FlowRun(NamedTuple):
    """One run as the server sees it. `message` is the sentence of its last state, empty if there is none."""

    id: str
    name: str
    deployment_id: str
    state_type: str
    state_name: str
    message: str
    parameters: Mapping[str, Any]
    created_at: datetime
    expected_at: datetime | None
    ended_at: datetime | None
    run_seconds: float

    @property
    def is_final(self) -> bool:
        return self.state_type in FINAL

    @property
    def reason(self) -> str:
        """The sentence of a failure, without the server's own words before it."""
        return self.message.removeprefix("Flow run encountered an exception: ")


class Deployment(NamedTuple):
    """One deployment; `name` is `flow/deployment`, as people and the command line write it."""

    id: str
    name: str


class Orchestrator:
    """A Prefect server at `api_url`, for example `http://127.0.0.1:4200/api`."""

    def __init__(self, api_url: str, *, timeout_s: float = 30.0) -> None:
        self.api_url = api_url.rstrip("/")
        self._client = httpx.Client(
            base_url=self.api_url, timeout=timeout_s, trust_env=not is_local(api_url), **_login(os.environ)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def is_healthy(self) -> bool:
        """Whether the server answers. Never raises for a server that is down, starting or sick."""
        try:
            return self._client.get("/health", timeout=2.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def ensure_process_pool(self, name: str) -> None:
        """A work pool whose runs are processes on the worker's machine; nothing happens when it is there."""
        if self._ask("GET", f"/work_pools/{name}", missing_is_none=True) is None:
            # The worker makes it too, and a request that was asked again may have been heard the first time.
            self._ask("POST", "/work_pools/", {"name": name, "type": "process"}, present_is_fine=True)

    def deployments(self) -> list[Deployment]:
        """All deployments, by name."""
        flows = {flow["id"]: flow["name"] for flow in self._ask("POST", "/flows/filter", {"limit": PAGE})}
        found = self._ask("POST", "/deployments/filter", {"limit": PAGE})
        return sorted(
            (Deployment(one["id"], f"{flows.get(one['flow_id'], '?')}/{one['name']}") for one in found),
            key=lambda deployment: deployment.name,
        )

    def start_run(self, deployment_id: str, parameters: Mapping[str, Any]) -> FlowRun:
        """Ask for one run now. The server checks the parameters against the flow's types.

        Raises:
            SetupFailed: the server refused; the sentence says why.
        """
        asked = {"parameters": parameters, "idempotency_key": uuid.uuid4().hex}
        return _flow_run(self._ask("POST", f"/deployments/{deployment_id}/create_flow_run", asked))

    def run(self, run_id: str) -> FlowRun:
        return _flow_run(self._ask("GET", f"/flow_runs/{run_id}"))

    def newest_runs(self, deployment_id: str, limit: int = 50) -> list[FlowRun]:
        """Runs that have started or are about to, newest first; what the scheduler put into the future is left out."""
        asked = {
            "deployments": {"id": {"any_": [deployment_id]}},
            "flow_runs": {"expected_start_time": {"before_": _in(timedelta(seconds=10))}},
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": limit,
        }
        return [_flow_run(found) for found in self._ask("POST", "/flow_runs/filter", asked)]

    def scheduled_runs(self, deployment_id: str) -> list[FlowRun]:
        """Runs that wait for their time, soonest first."""
        asked = {
            "deployments": {"id": {"any_": [deployment_id]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": PAGE,
        }
        return [_flow_run(found) for found in self._ask("POST", "/flow_runs/filter", asked)]

    def skip_missed_runs(self, older_than: timedelta) -> int:
        """Cancel cron runs whose time passed by while nobody was there to start them; return how many.

        Every cron flow looks at all there is to do, so the next one does what the missed ones would have done.
        """
        asked = {
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "expected_start_time": {"before_": _in(-older_than)},
                "tags": {"all_": ["auto-scheduled"]},
            },
            "limit": PAGE,
        }
        state = {"type": "CANCELLED", "name": "Missed", "message": "Slipway was stopped at that time."}
        skipped = 0
        while missed := self._ask("POST", "/flow_runs/filter", asked):
            for found in missed:
                self._ask("POST", f"/flow_runs/{found['id']}/set_state", {"state": state, "force": True})
            skipped += len(missed)
        return skipped

    def end_lost_runs(self) -> int:
        """Give up runs that wait for a process or run in one; return how many. For when no process of ours is left.

        Each holds the one place that its deployment has, so the next run would wait for it.
        """
        asked = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}}, "limit": PAGE}
        message = "Its process ended with the worker; the next run does the work."
        state = {"type": "CRASHED", "name": "Lost", "message": message}
        lost = self._ask("POST", "/flow_runs/filter", asked)
        for found in lost:
            self._ask("POST", f"/flow_runs/{found['id']}/set_state", {"state": state, "force": True})
        return len(lost)

    def forget_runs(self, tag: str, before: datetime) -> int:
        """Delete runs with this tag that should have started before `before` and don't run; return how many.

        Their artifacts and logs go with them. The server's own vacuum does the same for runs that have ended.
        """
        old = {
            "tags": {"all_": [tag]},
            "expected_start_time": {"before_": before.isoformat()},
            "state": {"type": {"not_any_": ["RUNNING"]}},
        }
        forgotten = 0
        while found := self._ask("POST", "/flow_runs/filter", {"flow_runs": old, "limit": BATCH}):
            ids = {"any_": [run["id"] for run in found]}
            self._forget_artifacts(ids)
            deleted = self._ask("POST", "/flow_runs/bulk_delete", {"flow_runs": {"id": ids}, "limit": BATCH})["deleted"]
            if not deleted:
                break  # the vacuum was there first; what is left is for the next time
            forgotten += len(deleted)
        return forgotten

    def facts(self, run_id: str) -> dict[str, str]:
        """What the run says about its work: the table artifact that every flow of ours leaves, in its order."""
        asked = {
            "artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["table"]}},
            "sort": "CREATED_DESC",
            "limit": 1,
        }
        found = self._ask("POST", "/artifacts/filter", asked)
        return {row["fact"]: row["value"] for row in _table(found[0]["data"])} if found else {}

    def progress(self, run_id: str) -> str:
        """How far the run says it is, empty if it does not: percent, and the first line of its progress artifact."""
        asked = {
            "artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["progress"]}},
            "sort": "CREATED_DESC",
            "limit": 1,
        }
        found = self._ask("POST", "/artifacts/filter", asked)
        if not found:
            return ""
        return f"{float(found[0]['data']):.0f} %, {found[0]['description'].splitlines()[0].strip()}"

    def log_lines(self, run_id: str, limit: int = 20) -> list[str]:
        """The run's last log lines, oldest first."""
        asked = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_DESC", "limit": limit}
        return [found["message"] for found in reversed(self._ask("POST", "/logs/filter", asked))]

    def _forget_artifacts(self, run_ids: Mapping[str, list[str]]) -> None:
        """Runs don't take theirs along, and nothing else names them."""
        asked = {"artifacts": {"flow_run_id": run_ids}, "limit": PAGE}
        while found := self._ask("POST", "/artifacts/filter", asked):
            for artifact in found:
                self._ask("DELETE", f"/artifacts/{artifact['id']}", missing_is_none=True)

    def _ask(
        self, method: str, path: str, body: Any = None, *, missing_is_none: bool = False, present_is_fine: bool = False
    ) -> Any:
        reply = self._patiently(method, path, body)
        if reply.status_code == httpx.codes.NOT_FOUND and missing_is_none:
            return None
        if reply.status_code == httpx.codes.CONFLICT and present_is_fine:
            return None
        if reply.is_error:
            raise SetupFailed(f"The Prefect server refused {method} {path}: {_reason(reply)}")
        return reply.json() if reply.content else None

    def _patiently(self, method: str, path: str, body: Any) -> httpx.Response:
        """Ask again while the server is busy: a locked database is a 503. Nothing we ask does harm when done twice."""
        pauses_s = iter(PAUSES_S)
        while True:
            try:
                reply = self._client.request(method, path, json=body)
                if reply.status_code not in BUSY:
                    return reply
                trouble = _reason(reply)
            except httpx.TransportError as error:
                trouble = str(error) or type(error).__name__
            pause_s = next(pauses_s, None)
            if pause_s is None:
                raise SetupFailed(f"The Prefect server at {self.api_url} does not answer: {trouble}.")
            time.sleep(pause_s)


def is_local(api_url: str) -> bool:
    """Whether the address is this machine's own; a proxy must not be asked then."""
    return httpx.URL(api_url).host in {"127.0.0.1", "localhost", "::1"}


def _login(environment: Mapping[str, str]) -> dict[str, Any]:
    """What a server that is not ours asks for, as Prefect's own client finds it."""
    if key := environment.get("PREFECT_API_KEY"):
        return {"headers": {"Authorization": f"Bearer {key}"}}
    if pair := environment.get("PREFECT_API_AUTH_STRING"):
        user, _, password = pair.partition(":")
        return {"auth": (user, password)}
    return {}


def _in(span: timedelta) -> str:
    return (datetime.now(UTC) + span).isoformat()


def _flow_run(found: Mapping[str, Any]) -> FlowRun:
    state = found.get("state") or {}
    return FlowRun(
        id=found["id"],
        name=found["name"],
        deployment_id=found.get("deployment_id") or "",
        state_type=found.get("state_type") or "PENDING",
        state_name=found.get("state_name") or "Pending",
        message=state.get("message") or "",
        parameters=found.get("parameters") or {},
        created_at=datetime.fromisoformat(found["created"]),
        expected_at=_time(found.get("expected_start_time")),
        ended_at=_time(found.get("end_time")),
        run_seconds=float(found.get("total_run_time") or 0.0),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _table(data: Any) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(data) if isinstance(data, str) else data
    return rows


def _reason(reply: httpx.Response) -> str:
    """The server's own words: a string, or the list of a schema's complaints."""
    try:
        detail = reply.json().get("detail") or reply.json().get("exception_detail") or reply.text
    except (ValueError, AttributeError):
        detail = reply.text
    return f"{reply.status_code} {detail}"[:500]
