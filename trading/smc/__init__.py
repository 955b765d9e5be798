"""Smart Money Concepts for one series of candles: `(state, candle) -> (state, row)`, one idea a file."""
