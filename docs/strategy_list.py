"""Write the list at the end of docs/strategies.md: every strategy, as its own header tells it. `make docs` runs it."""

from config.settings import ROOT
from docs.marked import rewritten
from warehouse.strategies.loading import Strategy, load_strategy

DOCUMENT = ROOT / "docs" / "strategies.md"
FILES = sorted((ROOT / "sql" / "marts").glob("signals_*.sql"))
BEGIN, END = "<!-- strategies: written by make docs from their headers -->", "<!-- end of strategies -->"


def main() -> None:
    """Write the list into the document."""
    DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")


def document(text: str) -> str:
    """The document with the list as it is now. Raises ValueError: the document has no place for it."""
    sections = "\n".join(_section(load_strategy(file)) for file in FILES)
    return rewritten(text, BEGIN, f"\n{sections}\n", END)


def _section(strategy: Strategy) -> str:
    header = strategy.header
    facts = [f"**Grain**: {header.grain}. **Lookback**: {header.lookback} candles."]
    if header.needs:
        facts.append(f"**Needs**: {', '.join(f'`{need}`' for need in header.needs)}.")
    if strategy.reads_smc:
        facts.append("**Reads** [Smart Money Concepts](smc.md).")
    if header.rejections:
        table = strategy.name.replace("signals_", "rejections_")
        facts.append(f"**Tells why not** in `marts.{table}`.")
    rows = [f"| `{p.name}` | {p.type} | {p.default} | {p.allowed} | {p.says} |" for p in header.params]
    table = ["| parameter | type | default | may be | |", "| --- | --- | --- | --- | --- |", *rows]
    return "\n".join([f"### {strategy.name}", "", header.says, "", "\n".join(facts), "", *table, ""])


if __name__ == "__main__":
    main()
