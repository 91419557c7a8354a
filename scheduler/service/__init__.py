"""A loop is only a loop: start, stop, interval, jitter, back-off, in one place."""
