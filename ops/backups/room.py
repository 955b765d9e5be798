"""Room on a disk, looked for before it is filled."""

import shutil
from pathlib import Path

from trading.errors import SetupFailed

SPARE_BYTES = 1_000_000_000  # a full disk stops the session that writes its journal there


def refuse_no_room(place: Path, needed_bytes: int, what: str) -> None:
    """Raise SetupFailed when `place`, which need not exist yet, has no room for so much and a gigabyte to spare.

    `what` says what the room is for.
    """
    standing = next(folder for folder in (place, *place.parents) if folder.exists())
    free, wanted = shutil.disk_usage(standing).free, needed_bytes + SPARE_BYTES
    if free < wanted:
        raise SetupFailed(
            f"There is not enough room for {what} in {place}: {free / 1e9:.1f} GB are free, {wanted / 1e9:.1f} GB are "
            "needed. Make room there."
        )
