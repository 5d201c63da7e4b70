"""Tuners that learn a model of the score: Optuna's samplers."""
