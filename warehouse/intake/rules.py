"""When a row is no candle, and what is said about it: one table, for the fast reader, the careful one and the tests.

A rule is a SQL condition that a bad row meets and a SQL text that says why; the first that applies is the reason. The
conditions speak of one row of a file joined with its `files` row; in `FORM` the fields are still text.
"""

from typing import NamedTuple

from warehouse.intake.layouts import UNITS


class Rule(NamedTuple):
    """`applies` is true for a bad row, false or null for a good one."""

    applies: str
    reason: str


PRICES = ("open", "high", "low", "close")
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"

# Of a line that was split into text fields `<name>_text`, with what the casts made of them beside: `<name>`.
FORM = (
    Rule("refusal <> ''", "refusal"),
    Rule("is_overlong", "'the line is longer than any candle'"),
    Rule("found <> expected", "'has ' || found || ' fields where ' || expected || ' are expected'"),
    Rule("opened_at is null and unit = 'text'", "'opened_at is not a time: ' || quoted(opened_at_text)"),
    Rule("time_number is null and unit <> 'text'", "'opened_at is not a whole number: ' || quoted(opened_at_text)"),
    Rule(
        "opened_at is null",
        "'opened_at is not in ' || unit || ' like the rest of the file: ' || quoted(opened_at_text)",
    ),
    *(
        Rule(f"not is_number({name}_text)", f"'{name} is not a number: ' || quoted({name}_text)")
        for name in (*PRICES, "volume")
    ),
    *(
        Rule(f"{name} is null", f"'{name} has too many digits before the point: ' || quoted({name}_text)")
        for name in (*PRICES, "volume")
    ),
    *(
        Rule(
            f"is_too_fine({name}_text)",
            f"'{name} has more than 10 decimals, some would be lost: ' || quoted({name}_text)",
        )
        for name in (*PRICES, "volume")
    ),
    Rule("trades is null and has_trades", "'trades is not a whole number: ' || quoted(trades_text)"),
)

# The one reason that time takes away.
NOT_CLOSED = "the candle was not closed yet when it was fetched"

# Of typed values. `fetched_us` is when the batch was fetched: a candle that closes later is not closed yet.
VALUES = (
    Rule("least(open, high, low, close) <= 0", "'a price is zero or negative'"),
    Rule("high < low", "'high is below low'"),
    Rule("open > high or open < low", "'open is outside high and low'"),
    Rule("close > high or close < low", "'close is outside high and low'"),
    Rule("volume < 0", "'volume is negative'"),
    Rule("coalesce(trades, 0) < 0", "'trades is negative'"),
    Rule("epoch_us(opened_at) % candle_us <> 0", "'opened_at is not on the ' || timeframe || ' grid'"),
    Rule("epoch_us(opened_at) + candle_us > fetched_us", f"'{NOT_CLOSED}'"),
)

WHOLE_NUMBER = r"-?[0-9]+(\.0*)?"

# Small words that the rules above are written in.
MACROS = (
    f"""
    create or replace temp macro whole_number(field) as
        case when regexp_full_match(field, '{WHOLE_NUMBER}') then try_cast(field as bigint) end
    """,
    # Hardly any count has a point, and a decimal's remainder takes longer than all else in a line.
    """
    create or replace temp macro whole_trades(field) as
        case when contains(field, '.') then whole_number(field) else try_cast(field as bigint) end
    """,
    # Hardly any number needs 128 bits, and reading one with them takes DuckDB a hundred times longer.
    """
    create or replace temp macro exact_number(field) as
        coalesce(try_cast(field as decimal(18, 10))::decimal(28, 10), try_cast(field as decimal(28, 10)))
    """,
    "create or replace temp macro quoted(field) as '''' || coalesce(left(field, 40), '') || ''''",
    f"create or replace temp macro is_number(field) as coalesce(regexp_full_match(field, '{NUMBER}'), false)",
    # Without an exponent the text shows it; with one, the value with more decimals differs from the one with ten.
    r"""
    create or replace temp macro is_too_fine(field) as case
        when regexp_matches(field, '[eE]')
            then try_cast(field as decimal(38, 24)) is distinct from try_cast(field as decimal(28, 10))
        else regexp_matches(field, '\.[0-9]{10}[0-9]*[1-9]')
    end
    """,
)


def none_of(rules: tuple[Rule, ...]) -> str:
    """SQL condition: true for a good row only, so false or null for one that lacks a value."""
    return f"not ({' or '.join(rule.applies for rule in rules)})"


def reason_of(rules: tuple[Rule, ...]) -> str:
    """SQL text: why the row is bad, null for a good one."""
    return "case " + " ".join(f"when {rule.applies} then {rule.reason}" for rule in rules) + " end"


def opened_at_of(number: str, unit: str) -> str:
    """SQL time from a whole number in the file's unit, null outside the unit's range."""
    cases = " ".join(
        f"when {unit} = '{name}' and {number} >= {lowest} and {number} < {beyond}"
        f" then make_timestamptz({number} * {us})"
        for name, (lowest, beyond, us) in UNITS.items()
    )
    return f"case {cases} end"
