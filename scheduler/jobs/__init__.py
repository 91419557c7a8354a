"""Jobs of offices: the classes of the seed, on top of sessions, scopes and graphs."""
