"""What a job leaves on disk for people: overlays, the worklist page, the summary table."""
