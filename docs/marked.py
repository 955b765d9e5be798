"""A part of a document that is written by code, between two lines that say so."""


def rewritten(text: str, begin: str, written: str, end: str) -> str:
    """`text` with `written` between the lines `begin` and `end`. Raises ValueError: it has no such lines."""
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"The document has no lines {begin} and {end}.")
    return f"{before}{begin}\n{written}{end}{after}"
