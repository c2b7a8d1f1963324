"""Adapters: a data set on disk in, :class:`~hemo_trainer.datasets.record.SliceRecord` rows out."""
