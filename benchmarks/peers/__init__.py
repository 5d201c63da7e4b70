"""Cartwheel's PETS beside mbrl-lib's, on the same tasks at the same sizes: see README.md."""
