"""Which keys there are, and what is known of them."""
