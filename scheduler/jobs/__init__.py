"""Jobs of offices: the classes of the seed, on top of sessions, scopes, timers and graphs."""
