"""Discovery of the universe: what the venue lists, what of it can be traded, and whether to believe it."""
