"""How each array library is opened, and what another lends it."""
