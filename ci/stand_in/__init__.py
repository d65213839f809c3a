"""A stand-in for CuPy, and the tests that run on it. The folder is put first on Python's path."""
