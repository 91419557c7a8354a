"""Who asks, and what they may do: API keys and roles."""
