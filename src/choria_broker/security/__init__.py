"""Keys, tokens and chains of trust: what can be believed of what a connection presents."""
