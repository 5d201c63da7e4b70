"""Tuners that change hyperparameters while agents train: PBT and its successors, exploit x explore x archive."""
