"""Agents in JAX, written for one: the engine vectorises them."""
