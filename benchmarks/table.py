"""One row per measurement; one table, one file, one comparison with the ratios we keep.

`value` and `baseline` share `unit`; `ratio` is value over baseline (1 without a baseline); `bar` is the highest
ratio allowed, or where there is no baseline the highest value, or the lowest (`at_least`); `ok` says whether it held.
Machines are noisy, so only ratios taken in one run are ever compared.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

TOLERANCE = 1.5  # a ratio may be half as large again as the stored one before it counts as a regression


@dataclass(frozen=True)
class Row:
    """One measurement."""

    name: str
    value: float
    unit: str
    baseline: float | None
    ratio: float
    bar: float | None
    ok: bool


def against(name: str, value: float, baseline: float, unit: str, bar: float) -> Row:
    """A row that is judged by its ratio to a baseline of the same run."""
    ratio = value / baseline
    return Row(name, value, unit, baseline, ratio, bar, ratio <= bar)


def alone(name: str, value: float, unit: str, bar: float | None = None) -> Row:
    """A row that is judged by its value, or only shown where `bar` is None."""
    return Row(name, value, unit, None, 1.0, bar, bar is None or value <= bar)


def at_least(name: str, value: float, unit: str, bar: float) -> Row:
    """A row that is judged by its value, of which more is better: here `bar` is the lowest allowed."""
    return Row(name, value, unit, None, 1.0, bar, value >= bar)


def show(rows: Iterable[Row]) -> None:
    """Print the table."""
    table = Table("measurement", "value", "baseline", "ratio", "bar", "held", title="make bench")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.value:,.4g} {row.unit}",
            "" if row.baseline is None else f"{row.baseline:,.4g} {row.unit}",
            "" if row.baseline is None else f"{row.ratio:.2f}",
            "" if row.bar is None else f"{row.bar:g}",
            "yes" if row.ok else "NO",
        )
    Console(width=120).print(table)


def write(rows: Iterable[Row], path: Path) -> None:
    """Write `{name: {value, unit, baseline, ratio, bar, ok}}`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {row.name: {key: kept for key, kept in asdict(row).items() if key != "name"} for row in rows}
    path.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def regressions(measured: Mapping[str, Mapping[str, float]], stored: Mapping[str, float]) -> list[str]:
    """One sentence per stored ratio that is exceeded beyond the tolerance, or that was not measured."""
    found = []
    for name, ratio in stored.items():
        if name not in measured:
            found.append(f"{name}: stored with ratio {ratio:.2f}, but not measured")
        elif measured[name]["ratio"] > ratio * TOLERANCE:
            now = measured[name]["ratio"]
            found.append(f"{name}: ratio {now:.2f}, stored {ratio:.2f}, tolerance {TOLERANCE:g}x")
    return found
