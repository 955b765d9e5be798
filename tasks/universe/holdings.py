"""In which markets there are open positions, by the journals of all sessions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from ops.journal import JournalReader, Kind, Row


def held_markets(journals: Path, perpetuals: Mapping[str, str]) -> dict[str, str]:
    """Spot pairs and perpetuals of open positions, each with the names of the journals that have one.

    A session that was begun anew leaves its old journal, and it counts: only a person can say that its positions are
    gone, by moving it away. `perpetuals` is by spot pair.

    Raises:
        CheckFailed: a journal is damaged.
        SetupFailed: a file is no journal.
    """
    held: dict[str, list[str]] = defaultdict(list)
    for path in sorted(journals.glob("*.sqlite")):
        with JournalReader(path) as journal:
            for instrument in open_instruments(journal.rows(kinds=[Kind.EVENT])):
                for market in {instrument, perpetuals.get(instrument, instrument)}:
                    held[market].append(path.stem)
    return {market: f"journal {', '.join(names)}" for market, names in held.items()}


def open_instruments(events: Iterable[Row]) -> set[str]:
    """Instruments whose fills leave something open."""
    lots: dict[str, int] = defaultdict(int)
    for row in events:
        values = row.values
        if values.get("event") == "fill":
            lots[row.instrument] += values["side"] * values["lots"]
    return {instrument for instrument, number in lots.items() if number}
