"""Deciding: which waiting session runs next, whether it may, and where."""
