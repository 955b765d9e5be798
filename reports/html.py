"""One HTML file that works offline: a template, its texts, and the scripts that it may run."""

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from string import Template

HERE = Path(__file__).resolve().parent
CHART_LIBRARY = HERE / "vendor" / "lightweight-charts.js"


def page(template: str, scripts: Sequence[str], **texts: str) -> str:
    """The page `template` with our `scripts`, in this order, and `texts`, which are HTML or JSON already."""
    library = _text(CHART_LIBRARY)
    program = "(() => {\n'use strict';\n" + "\n".join(_text(HERE / "page" / name) for name in scripts) + "})();\n"
    return Template(_text(HERE / "page" / template)).substitute(
        texts,
        policy=policy(library, program),
        style=_text(HERE / "page" / "style.css"),
        library=library,
        program=program,
    )


def policy(*scripts: str) -> str:
    """What the browser may do with the page: run these scripts and nothing else, load nothing from anywhere."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def embedded(json_text: str) -> str:
    """JSON that is safe inside a script element, whatever the names in it."""
    return json_text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_page(text: str, path: Path) -> Path:
    """Write a page to `path` and give `path` back. A reader sees the old file or the new one, whole.

    Raises:
        OSError: the folder can't be made, or the disk is full; `path` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
