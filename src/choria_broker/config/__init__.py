"""From a Choria configuration file to settings: syntax, the table of settings, findings."""
