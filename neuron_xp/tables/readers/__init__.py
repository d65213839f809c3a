"""Readers, one file for each format: a context manager that opens a file as an `OpenTable`."""
