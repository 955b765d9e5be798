"""The findings for people and for programs: a table, and Markdown and JSON beside the replies."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from ops.venue.check import Findings, Found


class Circumstances(NamedTuple):
    """When and of whom was asked."""

    checked_at: str  # RFC 3339
    venue: str
    code_version: str


def write_report(findings: Findings, when: Circumstances, folder: Path) -> Path:
    """Write `report.json` and `report.md` into `folder`; the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(
        orjson.dumps(as_plain(findings, when), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    page = folder / "report.md"
    page.write_text(as_markdown(findings, when), encoding="utf-8")
    return page


def show_findings(findings: Findings, page: Path) -> None:
    """Print the differences as a table, then what else there is to say."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if findings.differences:
        table = Table("question", "where", "what", "venue", "sandbox", box=SIMPLE)
        for question, difference in findings.differences:
            table.add_row(*(Text(word, overflow="fold") for word in (question, *difference)))
        console.print(table)
    notes = [f"{question}: {reason}" for question, reason in findings.unanswered]
    if findings.uncompared:
        places = _counted(len(findings.uncompared), "place")
        notes.append(f"{places} could not be compared: one of the two showed nothing there.")
    for note in (*notes, sentence(findings), f"Report: {page}"):
        console.print(note, soft_wrap=True, markup=False)


def as_plain(findings: Findings, when: Circumstances) -> dict[str, object]:
    """The findings as what JSON can say."""
    return {
        **when._asdict(),
        "code": findings.code,
        "questions": findings.questions,
        "differences": [_row(found) for found in findings.differences],
        "uncompared": [_row(found) for found in findings.uncompared],
        "unanswered": [{"question": question, "reason": reason} for question, reason in findings.unanswered],
    }


def as_markdown(findings: Findings, when: Circumstances) -> str:
    """The findings as a page."""
    parts = [
        f"# Venue check of {when.checked_at}\n",
        f"{when.venue} and the sandbox of {when.code_version}: {sentence(findings)}\n",
        _table("Differences", findings.differences),
        _table("Not compared: one of the two showed nothing there", findings.uncompared),
    ]
    if findings.unanswered:
        lines = [f"- {question}: {reason}" for question, reason in findings.unanswered]
        parts.append("## Without an answer from the venue\n\n" + "\n".join(lines) + "\n")
    return "\n".join(filter(None, parts))


def sentence(findings: Findings) -> str:
    """The findings in a sentence."""
    differ = _counted(len(findings.differences), "difference") if findings.differences else "no difference"
    silent = f", {len(findings.unanswered)} without an answer" if findings.unanswered else ""
    return f"{findings.questions} questions{silent}, {differ}."


def _table(title: str, rows: Sequence[Found]) -> str:
    if not rows:
        return ""
    lines = [f"## {title}\n", "| question | where | what | venue | sandbox |", "| --- | --- | --- | --- | --- |"]
    for question, (path, finding, venue, sandbox) in rows:
        place = path.replace("|", "\\|") or "."
        lines.append(f"| {question} | `{place}` | {finding} | {venue} | {sandbox} |")
    return "\n".join(lines) + "\n"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _row(found: Found) -> dict[str, str]:
    return {"question": found.question, **found.difference._asdict()}
