"""From finished studies to evidence: tests on fresh seeds, controls, suites, transfer, ablation."""
