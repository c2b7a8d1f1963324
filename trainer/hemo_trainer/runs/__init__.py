"""Training runs: one fit, its folds, its refit, its curves, and what each leaves in its folder."""
