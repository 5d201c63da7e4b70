"""Tasks as pure formulas, and their environments on the host."""
