"""The outside market: one matching core, and every venue that is built on it or spoken to."""
