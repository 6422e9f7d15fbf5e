"""Ends the sessions of those whose right was taken away, or has run out."""
