"""Let `python -m i247_node.cli` be the program."""

from i247_node.cli import main

main()
