"""Commands of `slipway` that `ops/cli.py` has no room for. They are of the composition root, as it is."""
