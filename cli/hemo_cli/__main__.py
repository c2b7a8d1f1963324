"""``python -m hemo_cli``: the same as ``hemo-batch``."""

from hemo_cli.main import main

main()
