"""``python -m sigma_stellar_aws``: the command line, where its program is not on the PATH."""

from sigma_stellar_aws.cli import main

main(prog_name="python -m sigma_stellar_aws")
