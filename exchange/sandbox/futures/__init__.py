"""The futures market as Kraken speaks of it: REST v3, charts, WebSocket v1."""
