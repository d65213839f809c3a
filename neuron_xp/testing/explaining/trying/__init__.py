"""What may have become of an operation: ways to compute it, tried on what it was given."""
