"""Does the sandbox still answer as the venue does? Replies of both, compared by their shape, on request only."""
