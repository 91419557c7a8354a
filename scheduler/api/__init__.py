"""The HTTP API: the offices' jobs over HTTP, closed by default."""
