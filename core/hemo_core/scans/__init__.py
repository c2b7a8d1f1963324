"""A tree of files → scans: found and chosen by their headers, read, judged, and prepared as model input."""
