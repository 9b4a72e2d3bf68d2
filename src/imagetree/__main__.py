"""`python -m imagetree` is the command `imagetree`."""

from imagetree.cli.main import main

main()
