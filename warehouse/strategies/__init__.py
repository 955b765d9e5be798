"""Strategies, SQL files that propose trades: loaded and found clean, run from anywhere, tried on candles."""
