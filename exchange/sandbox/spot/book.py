"""Order books as the book channel sends them: what changed between two, and the checksum that lets a client check."""

from typing import NamedTuple
from zlib import crc32

from exchange.sandbox.market.model import Book, Level
from exchange.sandbox.market.noise import draw

CHECKED_LEVELS = 10


class Change(NamedTuple):
    """Levels to set, in no order that a client could rely on; quantity 0 removes one."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def change_between(before: Book, after: Book, depth: int) -> Change:
    """What turns one book into the other for a client that cuts its own at `depth` levels after every update."""
    return Change(
        _changed_side(before.bids, after.bids, depth, sign=-1), _changed_side(before.asks, after.asks, depth, sign=1)
    )


def checksum(book: Book) -> int:
    """CRC32 over the ten best asks, then bids: the digits of price and quantity without point and leading zeros.

    These digits are the whole numbers in which we keep both.
    """
    levels = (*book.asks[:CHECKED_LEVELS], *book.bids[:CHECKED_LEVELS])
    return crc32("".join(f"{level.price}{level.quantity}" for level in levels).encode())


def _changed_side(before: tuple[Level, ...], after: tuple[Level, ...], depth: int, sign: int) -> tuple[Level, ...]:
    """`sign`: 1 where the lowest price is the best."""
    quantities = dict(before)
    remaining = dict(after)
    changed = [level for level in after if quantities.get(level.price) != level.quantity]
    gone = [Level(level.price, 0) for level in before if level.price not in remaining]
    if len(after) == depth:  # levels behind the last fall out of the client's book by themselves
        gone = [level for level in gone if sign * level.price < sign * after[-1].price]
    return tuple(sorted((*changed, *gone), key=lambda level: draw(level.price, level.quantity)))
