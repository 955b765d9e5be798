"""Tables of features: what code computes of the candles, a row for each, for strategies to read."""
