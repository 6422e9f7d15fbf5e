"""From a configuration file to settings; only the wiring imports it."""
