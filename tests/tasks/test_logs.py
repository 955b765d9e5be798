"""What a run's log says when it fails."""

import logging
from collections.abc import Iterator

import pytest

from tasks.logs import LOGGERS, leave_out_stacks
from trading.errors import InputUnusable


@pytest.fixture(params=LOGGERS)
def logged(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, list[str]]]:
    """A logger of Prefect's, and what it writes."""
    logger, said = logging.getLogger(request.param), list[str]()

    class Page(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    leave_out_stacks()
    page = Page()
    logger.addHandler(page)
    yield logger, said
    logger.removeHandler(page)


def test_an_error_of_ours_is_its_sentences_line_by_line_and_no_stack(logged: tuple[logging.Logger, list[str]]) -> None:
    logger, said = logged
    try:
        raise InputUnusable("One file can't be used.\nMend it.")
    except InputUnusable as error:
        logger.exception("Encountered exception during execution: %r", error)  # noqa: TRY401  # as Prefect does
    assert said == ["Encountered exception during execution: InputUnusable: One file can't be used.\nMend it."]


def test_a_line_that_does_not_say_why_gets_the_sentence(logged: tuple[logging.Logger, list[str]]) -> None:
    logger, said = logged
    try:
        raise InputUnusable("One file can't be used.")
    except InputUnusable:
        logger.exception("Execution exited with unexpected exception")
    assert said == ["Execution exited with unexpected exception: InputUnusable: One file can't be used."]


def test_what_nobody_foresaw_keeps_its_stack(logged: tuple[logging.Logger, list[str]]) -> None:
    logger, said = logged
    try:
        raise KeyError("close")
    except KeyError as error:
        logger.exception("Encountered exception during execution: %r", error)  # noqa: TRY401  # as Prefect does
    assert said[0].startswith("Encountered exception during execution: KeyError('close')\nTraceback ")
