"""What bodies of the HTTP API look like."""
