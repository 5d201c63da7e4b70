"""Pure decision makers: told events, asked for segments. One algorithm a file."""
