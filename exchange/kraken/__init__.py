"""Kraken as it spells things: the only place, with the sandbox's wire, where its spellings exist."""
