"""What of Kraken's spot side is spoken here, and what isn't: data of the table in the documentation."""

from exchange.sandbox.coverage import Coverage

COVERED = (
    Coverage("GET, POST /0/public/SystemStatus", "covered"),
    Coverage("GET, POST /0/public/Time", "covered"),
    Coverage("GET, POST /0/public/Assets", "partly", "the currencies of the pairs that are fed; no tokenized assets"),
    Coverage(
        "GET, POST /0/public/AssetPairs",
        "partly",
        "`pair`, `info`, `aclass_base`, `assetVersion`; no fees, as at the venue; `country_code` is ignored",
    ),
    Coverage("GET, POST /0/public/OHLC", "covered", "720 committed rows and the running one, zero rows included"),
    Coverage(
        "GET, POST /0/public/Trades",
        "covered",
        "since the first candle that is fed; `since` is included; `misc` is always empty",
    ),
    Coverage("GET, POST /0/public/Ticker", "covered"),
    Coverage("GET, POST /0/public/Depth", "partly", "a level's time is the book's; volumes to a thousandth"),
    Coverage("/0/public/Spread", "not", "a book has no history here"),
    Coverage("/0/public/GroupedBook, Level3", "not", "the book knows levels, not orders"),
    Coverage("/0/public/PreTrade, PostTrade", "not", "transparency reports; no known client reads them"),
    Coverage(
        "Rates of REST", "partly", "per client, for OHLC and Trades per client and pair; no lockout, no empty bodies"
    ),
    Coverage("/0/private/*", "not", "every call is answered `EAPI:Invalid key`; accounts and orders come later"),
    Coverage("OHLCVT and trades downloads", "not", "archives, not an interface"),
    Coverage("WebSocket v2 status, heartbeat, ping", "covered", "`upcoming_maintenance`, `emergency` are always empty"),
    Coverage("WebSocket v2 subscribe, unsubscribe", "covered", "an answer per symbol; one depth of a book at a time"),
    Coverage("WebSocket v2 ohlc", "partly", "one message per taker order; a snapshot reaches 12 intervals back"),
    Coverage("WebSocket v2 trade", "covered", "one message per taker order; a snapshot of 50, oldest first"),
    Coverage("WebSocket v2 ticker", "covered", "both event triggers"),
    Coverage(
        "WebSocket v2 book",
        "covered",
        "changes when something trades, not between: so an update has many levels, where the venue sends one or two",
    ),
    Coverage("WebSocket v2 instrument", "partly", "no tokenized assets; an update tells the status only"),
    Coverage("WebSocket v2 level3, executions, balances", "not", "refused as on the venue's public endpoint"),
    Coverage("WebSocket v2 orders (add_order and others)", "not", "refused likewise; accounts and orders come later"),
    Coverage("Rates of WebSocket v2", "partly", "`Exceeded msg rate` from a fixed budget; no limit on connections"),
    Coverage("WebSocket v1", "not", "v2 came after it; clients that still speak it find nothing"),
    Coverage("FIX, uws.kraken.com", "not", "no client of ours uses them"),
)
