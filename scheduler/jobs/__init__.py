"""Jobs: what the seed's job scheduler names, standing on sessions, scopes and timers."""
