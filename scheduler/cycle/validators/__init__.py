"""Validators: one rule, one file."""
