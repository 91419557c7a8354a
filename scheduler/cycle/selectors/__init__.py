"""Agent selectors: where a kernel goes."""
