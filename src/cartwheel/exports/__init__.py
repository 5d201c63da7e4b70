"""A study in other tools' formats: one file per format, and per library that it needs."""
