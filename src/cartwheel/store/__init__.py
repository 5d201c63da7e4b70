"""What remembers a study: one SQLite file with one writer, and content-addressed checkpoint files."""
