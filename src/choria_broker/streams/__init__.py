"""Choria Streams: the standard streams kept as the settings say, and what goes wrong with their store said plainly."""
