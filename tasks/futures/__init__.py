"""The perpetuals that a strategy on spot is traded on."""
