"""PETS: probabilistic ensembles with trajectory sampling (Chua et al. 2018)."""
