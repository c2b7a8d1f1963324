"""Figures of merit with intervals that know that slices of one patient are not independent, and their plots."""
