"""Tells subscribers what happens; a subscriber that fails or hangs holds up nobody but itself."""
