"""Small programs that show how to use a broker."""
