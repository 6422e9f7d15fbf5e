"""The control socket: asking a running broker about itself, from the same machine and as the same user."""
