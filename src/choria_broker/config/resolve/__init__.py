"""What a configuration means."""
