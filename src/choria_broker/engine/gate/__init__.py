"""The gate: the engine's questions and the broker's verdicts."""
