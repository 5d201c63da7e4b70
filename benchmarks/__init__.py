"""Measurements that the documents quote, with the programs that make them."""
