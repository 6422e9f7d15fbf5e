"""Who may connect, where they end up and what they may do there: questions in, verdicts out, nothing else."""
