"""What of Kraken's futures market the sandbox speaks, and what not: the source of the table in its documentation."""

from exchange.sandbox.coverage import Coverage
from exchange.sandbox.futures.requests import CANDLES

_ACCOUNTS = "needs accounts: part two of the sandbox"
_KEYLESS = "no key is known yet: answers `authenticationError`; part two of the sandbox"

REST = (
    Coverage(
        "GET /derivatives/api/v3/instruments",
        "partly",
        "linear perpetuals only; no marginSchedules; `isin` of BTC and DOGE only",
    ),
    Coverage("GET /derivatives/api/v3/instruments/status", "partly", "never a dislocation or extreme volatility"),
    Coverage(
        "GET /derivatives/api/v3/instruments/{symbol}/status", "partly", "never a dislocation or extreme volatility"
    ),
    Coverage("GET /derivatives/api/v3/tickers", "partly", "no rows of indices or dated contracts"),
    Coverage("GET /derivatives/api/v3/tickers/{symbol}", "covered"),
    Coverage("GET /derivatives/api/v3/orderbook", "covered", "of a declared shape, 200 levels"),
    Coverage("GET /derivatives/api/v3/history", "covered", "trades of type fill only"),
    Coverage(
        "GET /derivatives/api/v3/feeschedules",
        "partly",
        "one schedule with its first two tiers; deprecated at the venue",
    ),
    Coverage("GET /derivatives/api/v3/historical-funding-rates", "covered"),
    Coverage("GET /derivatives/api/v4/historical-funding-rates", "covered"),
    Coverage("GET /derivatives/api/v4/historicalfundingrates", "covered"),
    Coverage("GET /api/history/v3/market/{symbol}/executions", "covered", "v2 too"),
    Coverage("GET /api/history/v3/market/{symbol}/orders", "not", "the book has a shape, not orders"),
    Coverage("GET /api/history/v3/market/{symbol}/price", "not", "use the mark chart"),
    Coverage("GET /api/charts/v1/", "covered"),
    Coverage("GET /api/charts/v1/{tick}", "covered"),
    Coverage("GET /api/charts/v1/{tick}/{symbol}", "covered"),
    Coverage(
        "GET /api/charts/v1/{tick}/{symbol}/{resolution}",
        "covered",
        "of trades, intervals without one are absent; of mark and spot, every interval is there",
    ),
    Coverage("GET /api/charts/v1/analytics/{symbol}/{type}", "not", "no analytics"),
    Coverage("GET /api/charts/v1/analytics/liquidity-pool", "not", "no analytics"),
    Coverage("/derivatives/api/v3: orders, positions, fills, accounts, preferences, transfers", "not", _KEYLESS),
    Coverage("/api/history: orders, executions, triggers, positions, account-log", "not", _KEYLESS),
    Coverage("GET /api/auth/v1/api-keys/v3/check", "not", _ACCOUNTS),
)

RATES = (
    Coverage("Rates of /derivatives", "not", "public endpoints cost nothing at the venue; budgets come with accounts"),
    Coverage("Rates of WebSocket v1", "covered", "100 requests a second and connection, `rate_limited` beyond"),
    Coverage("WebSocket v1: at most 100 connections", "not", "any number of them"),
)

FEEDS = (
    Coverage("WebSocket v1 info, on connection", "covered"),
    Coverage("WebSocket v1 challenge", "covered", "given for any key, as by the venue"),
    Coverage("WebSocket v1 ticker", "partly", "perpetuals only; premium is always 0"),
    Coverage("WebSocket v1 ticker_lite", "partly", "perpetuals only; premium is always 0"),
    Coverage("WebSocket v1 trade", "covered", "trades of type fill only"),
    Coverage("WebSocket v1 book", "covered", "of a declared shape, 200 levels"),
    Coverage("WebSocket v1 " + ", ".join(CANDLES), "covered", "undocumented by the venue"),
    Coverage("WebSocket v1 heartbeat", "covered", "once a second"),
    Coverage("WebSocket v1 open_orders, open_orders_verbose, fills, open_positions, balances", "not", _ACCOUNTS),
    Coverage(
        "WebSocket v1 account_log, notifications_auth, deposits_withdrawals, account_balances_and_margins",
        "not",
        _ACCOUNTS,
    ),
)

COVERED = (*REST, *FEEDS, *RATES)
