"""The venue's decimals as a column of the warehouse holds them: exactly, or rounded where that is declared."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation

from trading.errors import InputUnusable
from warehouse.reference.schema import DIGITS

_ROUNDING = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])
_EXACT = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, Inexact])


def exactly(value: Decimal, decimals: int, what: str) -> Decimal:
    """`value` with so many decimals, none of its own lost: for facts, such as a tick.

    Raises InputUnusable: it has more decimals, or more digits before them than fit, or is not finite.
    """
    return _fitted(_EXACT, value, decimals, what)


def rounded(value: Decimal, decimals: int, what: str) -> Decimal:
    """`value` rounded to so many decimals, half to even: for what the venue measured with floats.

    Raises InputUnusable: it has more digits before the decimals than fit, or is not finite.
    """
    return _fitted(_ROUNDING, value, decimals, what)


def _fitted(context: Context, value: Decimal, decimals: int, what: str) -> Decimal:
    try:
        if not value.is_finite():
            raise InvalidOperation
        return value.quantize(Decimal(1).scaleb(-decimals), context=context)
    except (InvalidOperation, Inexact) as error:
        raise InputUnusable(
            f"{what} is {value}, which does not fit {DIGITS} digits with {decimals} decimals: the venue's reply is "
            "wrong, or the column too narrow."
        ) from error
