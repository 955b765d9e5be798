"""A Kraken on loopback: the public side of its spot and futures markets, over REST and WebSocket.

`market/` is what happens (pure, seeded, no I/O), `spot/` and `futures/` are how Kraken says it, `wire/` carries it and
breaks it on demand. Nothing here imports `exchange.kraken`, nor the reverse: shared parsing would hide shared mistakes.
"""
