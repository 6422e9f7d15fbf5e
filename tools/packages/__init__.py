"""The packages for Debian and RPM systems: what is in them, and how they are made."""
