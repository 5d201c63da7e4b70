"""Tables and statistics, read from the store."""
