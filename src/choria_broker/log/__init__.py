"""The log: structured lines, lines of libraries, and writing them without ever waiting."""
