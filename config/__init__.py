"""Settings: typed, frozen, loaded once at the edge and handed down in pieces."""
