"""Looks at a library, at the thread and at the data, before there is trust in them."""
