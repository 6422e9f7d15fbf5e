"""From what was read to what is in force. Start is the reload from nothing."""
