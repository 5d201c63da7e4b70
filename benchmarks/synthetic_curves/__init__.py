"""Tuners on a formula in place of an agent: docs/decisions/0003-synthetic-learning-curves.md says what and why."""
