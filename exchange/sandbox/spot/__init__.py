"""The spot market as Kraken speaks of it: REST and WebSocket v2."""
