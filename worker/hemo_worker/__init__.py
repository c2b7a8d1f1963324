"""Celery workers: scan chunks in, reports out."""
