"""An upgrade: the running process goes on with the installed program, and nobody who is connected notices."""

VARIABLE = "CHORIA_BROKER_LEFT"
"""Environment variable that tells the next program where to read what it was left: process id and descriptor."""
