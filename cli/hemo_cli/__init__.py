"""The hemo-batch command line."""
