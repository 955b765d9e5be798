"""What a person asks of a strategy before trusting it."""
