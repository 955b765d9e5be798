"""What the project's SQL files say and may say: headers, parameters, trees, the check of strategies. Text only."""
