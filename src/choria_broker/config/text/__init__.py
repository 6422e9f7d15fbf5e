"""Lines of text to typed values."""
