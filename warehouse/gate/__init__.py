"""The gate between `raw` and everything downstream: SQL checks and Great Expectations over one batch."""
