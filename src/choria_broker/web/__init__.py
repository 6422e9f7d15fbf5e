"""The statistics port."""
