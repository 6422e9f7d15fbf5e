"""The demonstration: a throw-away network, and a small fleet that is simulated on it."""
