"""Looks at a library, and at the thread, before their arithmetic is trusted."""
