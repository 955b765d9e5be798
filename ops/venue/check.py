"""Every question to the venue and to the sandbox; the answers kept; their shapes compared."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from ops.venue.replies import Answer, keep
from ops.venue.shapes import Difference, Finding, Layout, Shape, Unseen, differences, merged, shape_of
from trading.errors import ExchangeUnavailable

Ask = Callable[[str], Awaitable[Answer]]  # by the question's name; raises ExchangeUnavailable

NONE, SOME, UNANSWERED = 0, 1, 2  # exit codes
GIVES_UP_AFTER = 3  # questions in a row without an answer
NO_JSON = Shape(frozenset({"no JSON"}), {})
NO_MESSAGE = "nothing"


class Question(NamedTuple):
    """What both are asked. Messages of the kinds in `by_chance` may not have come in time: that is no difference."""

    name: str
    layout: Layout
    by_chance: frozenset[str] = frozenset()


class Found(NamedTuple):
    """A difference in the answers to one question."""

    question: str
    difference: Difference


class Findings(NamedTuple):
    """What the check came to."""

    questions: int
    differences: tuple[Found, ...]
    uncompared: tuple[Found, ...]  # one of the two showed nothing there
    unanswered: tuple[tuple[str, str], ...]  # by the venue: question, reason

    @property
    def code(self) -> int:
        """2: the venue did not answer everything; 1: something differs; 0: nothing does."""
        if self.unanswered:
            return UNANSWERED
        return SOME if self.differences else NONE


async def check(
    questions: Sequence[Question], venue: Ask, sandbox: Ask, folder: Path, say: Callable[[str], None]
) -> Findings:
    """Ask both, one question after the other. Replies are kept under `folder`, redacted.

    Raises ExchangeUnavailable: the sandbox did not answer. What the venue does not answer is among the findings.
    """
    found: list[Found] = []
    unanswered: list[tuple[str, str]] = []
    silent = 0  # questions in a row
    for number, question in enumerate(questions, 1):
        if silent == GIVES_UP_AFTER:
            unanswered += [(rest.name, "not asked any more") for rest in questions[number - 1 :]]
            break
        say(f"{number}/{len(questions)} {question.name}")
        try:
            theirs = await venue(question.name)
        except ExchangeUnavailable as error:
            unanswered.append((question.name, str(error)))
            silent += 1
            continue
        silent = 0
        ours = await sandbox(question.name)
        keep(theirs, question.name, folder / "replies" / "venue")
        keep(ours, question.name, folder / "replies" / "sandbox")
        differing = [*_statuses(theirs, ours), *compared(question, theirs, ours)]
        found += [Found(question.name, each) for each in differing]
    return Findings(len(questions), _of(found, Finding), _of(found, Unseen), tuple(unanswered))


def compared(question: Question, venue: Answer, sandbox: Answer) -> list[Difference]:
    """Where two answers to one question differ, kind of message by kind of message."""
    theirs, ours = _shapes(venue, question.layout), _shapes(sandbox, question.layout)
    found: list[Difference] = []
    for kind in sorted(theirs.keys() | ours.keys()):
        if kind in theirs and kind in ours:
            found += differences(theirs[kind], ours[kind], kind)
        elif kind in question.by_chance:
            nothing: Unseen = "nothing in sandbox" if kind in theirs else "nothing at venue"
            found.append(_one_sided(kind, nothing, in_venue=kind in theirs))
        else:
            missing: Finding = "missing in sandbox" if kind in theirs else "missing at venue"
            found.append(_one_sided(kind, missing, in_venue=kind in theirs))
    return found


def _statuses(venue: Answer, sandbox: Answer) -> list[Difference]:
    """Of HTTP: an error may look the same and come as another."""
    if venue.status == sandbox.status:
        return []
    return [Difference("", "other status", str(venue.status), str(sandbox.status))]


def _of(found: Sequence[Found], findings: object) -> tuple[Found, ...]:
    return tuple(each for each in found if each.difference.finding in get_args(findings))


def _shapes(answer: Answer, layout: Layout) -> dict[str, Shape]:
    """The shape of each kind of message. Paths begin with the kind: `book snapshot.data[]`."""
    shapes: dict[str, Shape] = {}
    for kind, text in answer.messages:
        shape = _shape(text, layout, kind)
        shapes[kind] = merged(shapes[kind], shape) if kind in shapes else shape
    return shapes


def _shape(text: str, layout: Layout, kind: str) -> Shape:
    try:
        return shape_of(json.loads(text), layout, kind)
    except (ValueError, RecursionError):
        return NO_JSON


def _one_sided(kind: str, finding: Finding | Unseen, *, in_venue: bool) -> Difference:
    words = ("a message", NO_MESSAGE)
    return Difference(kind, finding, *(words if in_venue else words[::-1]))
