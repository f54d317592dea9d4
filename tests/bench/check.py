"""How long a check of the 29 rules takes, against ``sigma check`` in the same run."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from sigma_stellar_aws.authoring.check import CONTRADICTORY, NEED_NETWORK
from sigma_stellar_aws.rule_files.load import pack_path

ROUNDS = 15


def seconds(command: list[str]) -> float:
    """Time of a whole process, which has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Time both commands in turn, so that both meet the same state of the machine."""
    programs = Path(sys.executable).parent
    rules = str(pack_path())
    with tempfile.TemporaryDirectory() as folder:
        validators = Path(folder) / "validators.yml"
        validators.write_text(f"validators: [all, {', '.join(f'-{name}' for name in NEED_NETWORK | CONTRADICTORY)}]\n")
        commands = {
            "sigma check": [str(programs / "sigma"), "check", "-c", str(validators), rules],
            "sigma-stellar-aws check": [str(programs / "sigma-stellar-aws"), "check", rules],
        }
        for command in commands.values():
            seconds(command)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                times[name].append(seconds(command))
    for name, measured in times.items():
        print(f"{name:<24} median {median(measured):.3f} s, fastest {min(measured):.3f} s, {ROUNDS} rounds")
    theirs, our = (median(measured) for measured in times.values())
    print(f"ratio of the medians: {our / theirs:.2f}")


if __name__ == "__main__":
    main()
