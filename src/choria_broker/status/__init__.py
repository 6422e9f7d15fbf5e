"""How the broker is."""
