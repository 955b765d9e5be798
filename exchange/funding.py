"""What a position pays for being held: Kraken's hourly rates, accrued to the millisecond.

The rate of an hour is known before it begins and holds for all of it. What has accrued is paid at the end of each hour
and before each change of the position (docs.kraken.com and support.kraken.com, "Funding"; recorded account logs).
"""

from collections.abc import Iterable

import numpy as np

from exchange.rows import Funding, Payment, Rate
from trading.compiled import routine, rule
from trading.model import Slot, scaled

HOUR_US = 3_600_000_000
HOUR_MS = 3_600_000
E12_PER_E8 = 10_000


def rates_behind(funding: Funding, payments: Iterable[Payment]) -> tuple[Rate, ...]:
    """The rates that payments were made at, once each, in the order of their hours."""
    used = {
        (hour, payment.instrument)
        for payment in payments
        for hour in range(payment.since // HOUR_US, (payment.at - 1) // HOUR_US + 1)
    }
    return tuple(
        Rate(instrument, hour, int(funding.rates[instrument, hour - funding.first_hour]))
        for hour, instrument in sorted(used)
    )


def with_rates(funding: Funding, rates: Iterable[Rate], instruments: int) -> Funding:
    """`funding` with these rates in place of its own; hours that it does not reach are added, at a rate of 0."""
    told = tuple(rates)
    if not told:
        return funding
    hours = [rate.hour for rate in told]
    own = funding.rates.shape[1]
    if own:
        hours += [funding.first_hour, funding.first_hour + own - 1]
    first = min(hours)
    table = np.zeros((instruments, max(hours) - first + 1), np.int64)
    if own:
        table[:, funding.first_hour - first : funding.first_hour - first + own] = funding.rates
    for rate in told:
        table[rate.instrument, rate.hour - first] = rate.rate_e12
    return Funding(table, first)


@routine
def owed_e8(funding: Funding, instrument: int, slot: Slot, since: int, until: int) -> int:
    """What the lots of a slot owe for this time, each hour at its own rate; less than 0: what is due to them.

    Nothing where no rates are given at all. Expects rates for all hours else.
    """
    owed, at = 0, since
    while at < until:
        hour = at // HOUR_US
        assert 0 <= hour - funding.first_hour < funding.rates.shape[1], "an hour without a rate"
        end = min(until, (hour + 1) * HOUR_US)
        rate = int(funding.rates[instrument, hour - funding.first_hour])
        owed += accrued_e8(slot.side * rate, slot.lots, end // 1000 - at // 1000)
        at = end
    return owed


@rule
def accrued_e8(rate_e12: int, lots: int, elapsed_ms: int) -> int:
    """What is owed inside one hour, rounded up: paid is never less, received never more."""
    per_hour = -scaled(-rate_e12, lots, E12_PER_E8)
    return -scaled(-per_hour, elapsed_ms, HOUR_MS)
