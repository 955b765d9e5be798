"""The core: pure functions over frozen values. No clock, no I/O, no mode, nothing of ours imported."""
