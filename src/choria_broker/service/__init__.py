"""The process around the broker."""
