"""What a stage is that code writes instead of a file under `sql/`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import duckdb

Kind = Literal["table", "temp table"]


class Write(Protocol):
    """Create or replace a table with the stage's rows; given `since`, with those that close at or after it."""

    def __call__(
        self, connection: duckdb.DuckDBPyConnection, table: str, *, kind: Kind, since: datetime | None
    ) -> None: ...


@dataclass(frozen=True)
class Written:
    """How to write it, and all that decides, with its inputs, what it holds: parameters, a hash of the code."""

    write: Write
    made_of: tuple[str, ...]
    is_told_by_close: bool = True  # whether rows that change all close at or after what changed in the inputs
