"""What happens in the market: candles become trades, books, tickers and funding. Pure, seeded, without I/O."""
