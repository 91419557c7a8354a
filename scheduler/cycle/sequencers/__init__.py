"""Schedulers: in which order waiting sessions are tried."""
