"""Private keys outside the engine: key processes hold them, and sign for it."""
