"""What a stage is that code writes instead of a file under `sql/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import duckdb
import polars as pl

from warehouse.features.rows import MOMENT

Kind = Literal["table", "temp table"]


class AsBefore(NamedTuple):
    """Rows of one series that are what they were, up to a close."""

    instrument: str
    timeframe: str
    until: datetime


class Write(Protocol):
    """Create or replace a table with the stage's rows; given `since`, with those that close at or after it.

    Answers which of them it has left out, because they are as they were.
    """

    def __call__(
        self, connection: duckdb.DuckDBPyConnection, table: str, *, kind: Kind, since: datetime | None
    ) -> Sequence[AsBefore]: ...


@dataclass(frozen=True)
class Written:
    """How to write it, and all that decides, with its inputs, what it holds: parameters, a hash of the code."""

    write: Write
    made_of: tuple[str, ...]
    is_told_by_close: bool = True  # whether rows that change all close at or after what changed in the inputs


def frame_of(as_before: Sequence[AsBefore]) -> pl.DataFrame:
    """A row for each series, with its columns also where there is none."""
    schema = pl.Schema({"instrument": pl.String(), "timeframe": pl.String(), "until": MOMENT})
    return pl.DataFrame(as_before, schema, orient="row")
