"""What a Great Expectations suite is made of: measures of each series, and the range that each must keep.

The library has no DuckDB source that works, and looking at millions of rows one by one costs it seconds and
gigabytes. So DuckDB finds the worst of every series (its lowest price, its longest hole, …), exactly, and the suite
states what the worst may be: the same verdict as row by row, and Data Docs that name the series.
"""

from typing import NamedTuple


class Measure(NamedTuple):
    """The worst of one series in one respect, and the range that it must keep. A bound may be a threshold's name.

    A value that is missing is out of range, so what does not concern a series has to be a value within it.
    """

    name: str
    sql: str  # over the rows of one series, as the query of its suite has them
    lowest: float | str | None = None
    highest: float | str | None = None
    is_strict: bool = False  # the lowest value itself is out of range

    @property
    def range(self) -> str:
        """For people, thresholds by name."""
        if self.highest is not None:
            return f"at most {self.highest}"
        return f"above {self.lowest}" if self.is_strict else f"at least {self.lowest}"


class Suite(NamedTuple):
    """What is expected of one stage, from one kind of source.

    `query` gives a row per series with `instrument`, `series` (its name for people, which no other has) and, where it
    says `{measures}`, the values of the measures.
    """

    name: str
    judged: str  # the table whose rows are judged
    query: str
    measures: tuple[Measure, ...]

    @property
    def sql(self) -> str:
        """The query that finds the worst of each series."""
        listed = ", ".join(f"{measure.sql} as {measure.name}" for measure in self.measures)
        return self.query.format(measures=listed)
