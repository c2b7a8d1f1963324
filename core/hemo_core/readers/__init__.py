"""Readers: one format each, a file or folder in, a :class:`hemo_core.scan.Scan` out."""
