"""Kraken's public side, asked once each and kept as it came: to see whether it is still what the rest believes."""
