"""Tuners that stop trials early, and the searches built on them."""
