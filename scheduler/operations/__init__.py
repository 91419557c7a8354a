"""Verbs people ask for, over the repositories."""
