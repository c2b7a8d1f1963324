"""The parts of :mod:`hemo_core.discover`: walk a tree, recognise files, group series, choose among them, name scans."""
