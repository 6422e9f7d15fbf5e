"""The ground: what the broker was told, as frozen values. Durations are seconds, lists are tuples."""
