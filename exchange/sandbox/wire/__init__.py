"""How bytes go in and out: links, numbers, budgets, faults."""
