"""What must be found out about machine and network, and finding it out."""
