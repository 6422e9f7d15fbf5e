"""How many logins a second this machine takes, measured with a broker of its own."""
