"""One module for each page: what it needs from the broker, and what it shows of that."""
