"""Whole jobs, without a terminal: on tables, on every backend, against the clock."""
