"""What would be decided about a connection that somebody describes, and why; no part of deciding about real ones."""
