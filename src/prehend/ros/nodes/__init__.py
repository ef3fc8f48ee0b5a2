"""What all our nodes have in common: their life, worker, estimator and diagnostics."""
