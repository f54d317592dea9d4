"""Which files are rules; apart from what reads them, which loads pySigma."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_SUFFIXES = (".yml", ".yaml")
_DOCUMENTATION = (".md", ".rst")


def pack_path() -> Path:
    """Return the folder of the 29 rules: in an installed package, or at the top level of a checkout."""
    installed = Path(__file__).parents[1] / "rules"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "rules"


def correlations_path() -> Path:
    """Return the folder of our correlations: not among the rules, where ``sigma convert`` would come upon them."""
    return Path(__file__).parents[1] / "correlations"


def filters_path() -> Path:
    """Return the folder of our filters: not among the rules, where ``sigma convert`` would apply them unasked."""
    return Path(__file__).parents[1] / "filters"


def is_test_file(file: Path) -> bool:
    """Tell whether a file holds sample events for the rules beside it.

    >>> is_test_file(Path("aws_x.test.yaml")), is_test_file(Path("aws_x.Test.YML")), is_test_file(Path("aws_x.yml"))
    (True, True, False)
    """
    return file.name.lower().endswith(tuple(f".test{suffix}" for suffix in _SUFFIXES))


def is_yaml_file(file: Path) -> bool:
    """Tell whether a file is YAML by its name: .yml or .yaml, in any case."""
    return file.suffix.lower() in _SUFFIXES


def files_below(folder: Path) -> list[Path]:
    """List all files in a folder and the folders below it, in order of their names; hidden ones are left out."""
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(files, key=lambda file: file.parts)


def find_rule_files(paths: Iterable[Path | str] = ()) -> list[Path]:
    """List the rule files that paths name, each once, in the order of the paths and then of the names.

    Args:
        paths: files, whatever they are called, and folders, of which all ``.yml`` and ``.yaml`` files are taken (in any
            case) but for test files; by default the folder of the 29 rules.
    """
    unique: dict[str, Path] = {}
    for path in tuple(map(Path, paths)) or (pack_path(),):
        if not path.is_dir():
            unique.setdefault(os.path.realpath(path), path)
            continue
        # To look at every folder on the way, for each of hundreds of rules, takes longer than all else here.
        real_folder = cache(os.path.realpath)
        for file in filter(_is_rule_file, files_below(path)):
            linked = os.path.islink(file)  # noqa: PTH114  (a tenth of the time)
            real = os.path.realpath(file) if linked else os.path.join(real_folder(file.parent), file.name)  # noqa: PTH118
            unique.setdefault(real, file)
    return list(unique.values())


def find_unread_files(paths: Iterable[Path]) -> list[Path]:
    """List what stands in folders and is neither a rule nor a test nor documentation, and so is passed over."""
    return [
        file
        for path in paths
        if path.is_dir()
        for file in files_below(path)
        if not is_yaml_file(file) and file.suffix.lower() not in _DOCUMENTATION
    ]


def _is_rule_file(file: Path) -> bool:
    return is_yaml_file(file) and not is_test_file(file)
