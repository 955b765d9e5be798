"""How far every job is, for whoever watches: the terminal, or Prefect's page."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

MOST_SHOWN = 20  # jobs
State = Literal["waiting", "running", "done", "failed"]


class JobState(NamedTuple):
    """One job. `share` of its span from 0 to 1; `seconds_left` None: nothing was fetched yet that could tell."""

    title: str
    state: State = "waiting"
    rows: int = 0
    share: float = 0.0
    began_s: float = 0.0  # of a clock that only runs forward
    took_s: float = 0.0
    seconds_left: float | None = None

    @property
    def line(self) -> tuple[str, State, float, float]:
        """Title, state, when it began and how long it took."""
        return self.title, self.state, self.began_s, self.took_s

    @property
    def remark(self) -> str:
        """Rows, share and time left, for a person."""
        if self.state == "waiting":
            return ""
        left = self.seconds_left if self.state == "running" else None
        parts = (f"{self.rows:,} rows", f"{self.share:.0%}", "" if left is None else f"{_duration(left)} left")
        return ", ".join(filter(None, parts))


class Look(NamedTuple):
    """What there is to see: every job, and what the rate budget says of itself (`Budget.snapshot`)."""

    jobs: tuple[JobState, ...]
    budget: Mapping[str, Mapping[str, float]]

    @property
    def share(self) -> float:
        """Of all jobs together, each counting the same."""
        return sum(job.share for job in self.jobs) / len(self.jobs) if self.jobs else 1.0

    @property
    def text(self) -> str:
        """A line about all jobs, one about the budget, and one for each job that runs or has failed; as Markdown."""
        done, rows = sum(job.state == "done" for job in self.jobs), sum(job.rows for job in self.jobs)
        spent = self.budget["all"]
        shown = [f"- {job.title}: {job.state}, {job.remark}" for job in self.jobs if job.state in ("running", "failed")]
        return "\n".join(
            (
                f"{done} of {len(self.jobs)} jobs done, {rows:,} rows  ",
                f"{spent['calls']:.0f} calls, {spent['refused']:.0f} refused, {spent['waited_s']:.0f} s waited",
                *shown[:MOST_SHOWN],
            )
        )


class Watch(NamedTuple):
    """Somebody who looks every so many seconds, from a thread of their own: looking holds up no job."""

    show: Callable[[Look], None]
    every_s: float


class Board:
    """The states of all jobs."""

    def __init__(self, titles: Iterable[str]) -> None:
        self._states = {title: JobState(title) for title in titles}
        self._first: dict[str, tuple[float, float]] = {}  # share and time of a job's first page in this process

    def states(self) -> tuple[JobState, ...]:
        """All of them, in the order of the request."""
        return tuple(self._states.values())

    def begin(self, title: str) -> None:
        """A job has begun."""
        self._states[title] = self._states[title]._replace(state="running", began_s=time.monotonic())

    def advance(self, title: str, rows: int, share: float) -> None:
        """A page of a job was kept."""
        now = time.monotonic()
        first_share, first_at = self._first.setdefault(title, (share, now))
        gained = share - first_share
        left = (now - first_at) / gained * (1 - share) if gained > 0 else None
        self._states[title] = self._states[title]._replace(rows=rows, share=share, seconds_left=left)

    def end(self, title: str, state: State) -> None:
        """A job is done, or has failed."""
        before = self._states[title]
        self._states[title] = before._replace(state=state, took_s=time.monotonic() - before.began_s)


async def tell(look: Callable[[], Look], watch: Watch) -> None:
    """Let somebody look again and again, until cancelled; then a last time."""
    try:
        while True:
            await asyncio.to_thread(watch.show, look())
            await asyncio.sleep(watch.every_s)
    finally:
        await asyncio.to_thread(watch.show, look())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
