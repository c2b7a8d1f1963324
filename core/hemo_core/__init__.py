"""What every component of hemo-batch shares: scans, preprocessing, the bundle, the job store, inference."""

__version__ = "0.1.0"
