"""The seam to the engine: what it is told, its process, and the gate it asks its questions through."""
