"""The mathematics: pure functions on arrays of any Array API namespace.

Imports the standard library and itself only. README.md beside this file is the specification
of the reproducible arithmetic; the code is one way to keep it.
"""
