"""What the broker needs of its host."""
