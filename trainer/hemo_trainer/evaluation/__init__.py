"""Evidence about a model: figures with intervals, where it fails, what is not known, and the report that says so."""
