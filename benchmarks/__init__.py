"""What the scheduler costs, beside what it may cost (architecture, budgets): `scripts/bench`."""
