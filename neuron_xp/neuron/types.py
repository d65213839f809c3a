"""The types of the mathematics: an array, and the namespace it belongs to.

The Array API standard is a protocol of some 150 functions that every library spells out
at run time, so there is nothing a static checker could hold these to: both are `Any`.
"""

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library that follows the Array API standard."""

Namespace: TypeAlias = Any
"""The module, or object, that holds the standard's functions for such arrays."""
