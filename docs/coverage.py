"""Write the table of docs/sandbox.md: what of the venue the sandbox speaks. `make docs` runs it."""

from config.settings import ROOT
from docs.marked import rewritten
from exchange.sandbox.futures.covered import COVERED as FUTURES
from exchange.sandbox.spot.covered import COVERED as SPOT

DOCUMENT = ROOT / "docs" / "sandbox.md"
BEGIN, END = "<!-- coverage: written by make docs -->", "<!-- end of coverage -->"
STANDINGS = {"covered": "yes", "partly": "partly", "not": "no"}


def main() -> None:
    """Write the table into the document."""
    DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")


def document(text: str) -> str:
    """The document with the table as it is now. Raises ValueError: the document has no place for it."""
    return rewritten(text, BEGIN, table(), END)


def table() -> str:
    """Both sides of the venue, one row per endpoint and feed."""
    sections = []
    for title, rows in (("Spot", SPOT), ("Futures", FUTURES)):
        lines = [f"| {title} | spoken | |", "| --- | --- | --- |"]
        lines += [f"| {row.name} | {STANDINGS[row.standing]} | {row.remark} |" for row in rows]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


if __name__ == "__main__":
    main()
