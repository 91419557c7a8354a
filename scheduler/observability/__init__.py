"""What people and machines can see of a running system: logs and metrics."""
