"""Work for the scheduler to spread, on input that every machine has."""
