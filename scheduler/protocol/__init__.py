"""What the scheduler and its agents say to each other."""
