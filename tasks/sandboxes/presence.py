"""Whether a sandbox that has its addresses on file still runs: one that was killed could not remove them."""

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

from trading.errors import SetupFailed

ANSWER_S = 2.0


def is_running(file: Path) -> bool:
    """Whether there is such a file, and somebody listens where it says; of a file without addresses nobody can tell."""
    try:
        return is_listening(json.loads(file.read_text(encoding="utf-8"))["spot_rest"])
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, KeyError, TypeError):
        return True


def refuse_ended(url: str, file: Path) -> None:
    """Raise SetupFailed when nothing listens at `url`, which `file` names."""
    if not is_listening(url):
        raise SetupFailed(
            f"{file} is of a sandbox that has ended: nothing listens at {url}. Start one with `make sandbox`; it "
            "writes the file anew."
        )


def is_listening(url: str) -> bool:
    """False when the machine says that nobody is there. Where nothing is said, whoever asks will find out."""
    place = urlsplit(url)
    try:
        with socket.create_connection((place.hostname, place.port), timeout=ANSWER_S):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
