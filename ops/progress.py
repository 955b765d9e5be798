"""What a person sees while `make run` is at work: a table that moves on a terminal, lines in a pipe or a log."""

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

REPEAT_S = 15.0  # between two lines about a step that takes its time, where nothing can move


class Step(NamedTuple):
    """One line of the show. `state` is waiting, running, done or failed; `since` and `took` in seconds."""

    title: str
    state: str
    since_s: float
    took_s: float
    remark: str


class Screen(Protocol):
    """Where the progress is told. `say` is for what happens once, `show` for what is going on."""

    def say(self, sentence: str) -> None: ...

    def show(self, steps: tuple[Step, ...]) -> None: ...


def screen(console: Console) -> AbstractContextManager[Screen]:
    """The screen that fits where the console writes to."""
    return MovingScreen(console) if console.is_terminal else PlainScreen(console)


class MovingScreen:
    """A table that is drawn again in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps: tuple[Step, ...] = ()
        self._live = Live(console=console, refresh_per_second=8, transient=True, get_renderable=self._table)
        self._spinner = Spinner("dots")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def say(self, sentence: str) -> None:
        """A line above the table."""
        self._console.print(Text(sentence, style="dim"))

    def show(self, steps: tuple[Step, ...]) -> None:
        """What the table holds from now on."""
        self._steps = steps

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=2)
        table.add_column(min_width=18)
        table.add_column(justify="right", min_width=6)
        table.add_column(overflow="ellipsis", no_wrap=True)
        for step in self._steps:
            table.add_row(self._sign(step.state), step.title, _seconds(step), Text(step.remark, style="dim"))
        return Group(table)

    def _sign(self, state: str) -> RenderableType:
        signs = {"done": Text("✔", "green"), "failed": Text("✘", "red"), "waiting": Text("·", "dim")}
        return signs.get(state, self._spinner)


class PlainScreen:
    """One line when something begins, ends, or takes its time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, sentence: str) -> None:
        """One line."""
        self._console.print(sentence, soft_wrap=True, highlight=False, markup=False)

    def show(self, steps: tuple[Step, ...]) -> None:
        """Tell what has changed since the last call, and every now and then what has not."""
        now = time.monotonic()
        for step in steps:
            state, at = self._told.get(step.title, ("waiting", now))
            if step.state != state or (step.state == "running" and now - at >= REPEAT_S):
                self._told[step.title] = (step.state, now)
                self.say("  ".join(filter(None, (f"{step.title}: {step.state}", _seconds(step), step.remark))))


def _seconds(step: Step) -> str:
    if step.state == "waiting":
        return ""
    spent = step.took_s or time.monotonic() - step.since_s
    return f"{spent:.1f} s" if step.took_s else f"{spent:.0f} s"
