"""Search spaces: what hyperparameters there are, their ranges, conditions and priors, and the formats of others."""
