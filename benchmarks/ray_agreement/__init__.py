"""Cartwheel's PBT and Hyperband beside Ray Tune's, decision by decision: see README.md."""
