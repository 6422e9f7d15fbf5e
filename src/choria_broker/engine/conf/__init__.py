"""The engine's configuration file."""
