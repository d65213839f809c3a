"""One file for each format of tables, all with the same two functions."""
