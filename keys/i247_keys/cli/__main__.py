"""Let `python -m i247_keys.cli` be the program."""

from i247_keys.cli import main

main()
