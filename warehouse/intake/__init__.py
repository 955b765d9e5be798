"""Files from outside -> `raw`: what is in an archive, how it is laid out, which rows are candles, and landing them."""
