"""What the broker measures: readings of the engine's monitoring pages, and the metrics made of them."""
