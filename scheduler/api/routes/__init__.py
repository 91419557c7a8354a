"""The pages of the HTTP API, by what they speak of."""
