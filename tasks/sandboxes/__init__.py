"""Sandboxes that are started here: over which candles, and to compare the venue with."""
