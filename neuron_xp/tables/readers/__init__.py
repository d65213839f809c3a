"""One file for each format: a context manager that opens a file as a `OpenTable`."""
