"""Labelled slices, ready for training: sides, folds, pictures that patients share, cached pixels."""
