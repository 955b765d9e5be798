"""Indicators over a whole series, by TA-Lib, from a fixed anchor: what a strategy may ask for, by name."""
