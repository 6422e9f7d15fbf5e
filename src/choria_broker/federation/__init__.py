"""The federation broker: it hands requests of clients to a collective, and replies back, between two networks."""
