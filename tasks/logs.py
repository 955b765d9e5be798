"""What the log of a run says of a failure: of an error of ours its sentence; a stack only of what nobody foresaw."""

import logging
from typing import Final

from trading.errors import SlipwayError

# Prefect's loggers of failures: they log the error's `repr`, then a stack of which most is Prefect's own.
LOGGERS: Final = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


def leave_out_stacks() -> None:
    """From now on. Once is enough, and more does no harm."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_with_its_sentence)


def _with_its_sentence(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, SlipwayError):
        sentence, said = f"{type(error).__name__}: {error}", record.getMessage()
        told = said.replace(repr(error), sentence) if repr(error) in said else f"{said}: {sentence}"
        vars(record).update(msg=told, args=(), exc_info=None)
    return True
