"""Reports, requests, beats and timers become moves: decided by pure functions, applied by the leader."""
