"""The trail of decisions."""
