"""The command line by ``python -m sigma_stellar_aws``."""

from sigma_stellar_aws.cli import main

if __name__ == "__main__":
    main(prog_name="sigma-stellar-aws")
