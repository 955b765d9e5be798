"""Other engines, on the same candles and the same strategy, each in a locked environment of its own."""
