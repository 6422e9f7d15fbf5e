"""The dashboard: pages about a running broker, made from what it knows; nothing here opens, asks or waits."""
