"""The reproducible arithmetic: elementary functions and sums, in the order of ../README.md."""
