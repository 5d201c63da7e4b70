"""Agents of one cohort, compiled and advanced: the engine, its programs, and what an episode brings."""
