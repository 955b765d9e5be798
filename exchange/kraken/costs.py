"""What calls cost, and in which pool: Kraken's own tables, as far as it states them.

Spot counts public calls by address, and OHLC and Trades by address and pair; about one a second is safe. Futures
counts 500 in any 10 seconds per account, and 100 in any 10 minutes for the account's history. For its public calls it
states no limit: 5 a second is our own manners.
"""

from exchange.kraken.admission import SECOND_US, Call, Charge, Pool, Priority


def _reads_only(limit: int, window_us: int) -> Pool:
    return Pool(limit, window_us, (limit, limit, limit))


SPOT_PUBLIC = _reads_only(1, SECOND_US)  # by address, and once more for every pair
FUTURES_PUBLIC = _reads_only(5, SECOND_US)
# A cancel-all, and some cancels, find room when orders fill their share; so do orders when reads fill theirs.
DERIVATIVES = Pool(500, 10 * SECOND_US, (450, 375, 250))
HISTORY = _reads_only(100, 600 * SECOND_US)

DERIVATIVES_COSTS = {
    "orders/status": 1,
    "accounts": 2,
    "openpositions": 2,
    "openorders": 2,
    "fills": 2,
    "self-trade-strategy": 2,
    "subaccount/trading-enabled": 2,
    "sendorder": 10,
    "editorder": 10,
    "cancelorder": 10,
    "transfer": 10,
    "transfer/subaccount": 10,
    "cancelallorders": 25,
    "cancelallordersafter": 25,
    "withdrawaltospotwallet": 100,
    "unwindqueue": 200,
}
PREFERENCES = ("leveragepreferences", "pnlpreferences")
READ_PREFERENCES, WRITTEN_PREFERENCES = 2, 10
OLDER_FILLS = 25
BATCH, BATCHED_ORDER = 9, 1
HISTORY_COSTS = {"orders": 1, "triggers": 1, "executions": 1, "accountlogcsv": 6}
ACCOUNT_LOG_COSTS = ((25, 1), (50, 2), (1_000, 3), (5_000, 6), (100_000, 10))  # up to so many rows


def spot_call(pair: str = "") -> Call:
    """A public call to spot; OHLC and Trades name their pair. The address as a whole can be closed for them as well."""
    if not pair:
        return Call(Priority.READ, (Charge("spot", SPOT_PUBLIC, 1),))
    return Call(Priority.READ, (Charge("spot", SPOT_PUBLIC, 0), Charge(f"spot {pair}", SPOT_PUBLIC, 1)))


def futures_call() -> Call:
    """A public call to futures: instruments, tickers, funding rates, charts."""
    return Call(Priority.READ, (Charge("futures", FUTURES_PUBLIC, 1),))


def derivatives_call(priority: Priority, cost: int) -> Call:
    """A signed call to futures, of a cost by `derivatives_cost`."""
    return Call(priority, (Charge("futures", FUTURES_PUBLIC, 0), Charge("derivatives", DERIVATIVES, cost)))


def history_call(cost: int) -> Call:
    """A signed call to the account's history, of a cost by `history_cost`."""
    return Call(Priority.READ, (Charge("futures", FUTURES_PUBLIC, 0), Charge("history", HISTORY, cost)))


def derivatives_cost(endpoint: str, *, writes: bool = False, pages: bool = False, batched: int = 0) -> int:
    """Cost of a signed endpoint. `writes`: a PUT; `pages`: fills before a time; `batched`: orders in a batch."""
    if endpoint == "batchorder":
        return BATCH + BATCHED_ORDER * batched
    if endpoint in PREFERENCES:
        return WRITTEN_PREFERENCES if writes else READ_PREFERENCES
    if endpoint == "fills" and pages:
        return OLDER_FILLS
    return DERIVATIVES_COSTS[endpoint]


def history_cost(endpoint: str, rows: int = 0) -> int:
    """Cost of an endpoint of the account's history; that of `account-log` goes by the rows asked for."""
    if endpoint == "account-log":
        return next(cost for up_to, cost in ACCOUNT_LOG_COSTS if rows <= up_to)
    return HISTORY_COSTS[endpoint]
