"""What sessions decided upon, and candles that say something else by now (I31)."""
