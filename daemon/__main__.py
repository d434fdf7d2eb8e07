"""`python -m daemon` is `houseband`."""

from daemon.cli import main

main(prog_name="houseband")
