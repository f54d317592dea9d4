"""The examples in docstrings and in the README are true."""

import ast
import doctest
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

from sigma_stellar_aws.alerts.pack import pack_fields
from sigma_stellar_aws.logs.flatten import flatten
from sigma_stellar_aws.logs.reader import read_records
from sigma_stellar_aws.store.client import connect
from sigma_stellar_aws.store.load import create_index, load_documents

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "sigma_stellar_aws"
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def examples() -> Iterator[doctest.DocTest]:
    """The examples of every docstring, module by module, without importing any, and those of the README."""
    parser = doctest.DocTestParser()
    for file in sorted(PACKAGE.rglob("*.py")):
        if "data" in file.parts or ">>>" not in file.read_text("utf-8"):
            continue
        module = ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                name = getattr(node, "name", "module")
                text = ast.get_docstring(node, clean=False) or ""
                line = node.body[0].lineno - 1 if node.body else 0
                if ">>>" in text:
                    yield parser.get_doctest(text, {"__name__": module}, f"{module}.{name}", str(file), line)
    readme = PROJECT / "README.md"
    yield parser.get_doctest(readme.read_text("utf-8"), {}, "README", str(readme), 0)


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    """Work in a folder, as contextlib's of Python 3.11 does."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def needs_store(example: doctest.DocTest) -> bool:
    """Whether an example asks a data store."""
    return any("store_url" in part.source for part in example.examples)


@pytest.fixture(scope="module")
def store_url(opensearch_url: str) -> Iterator[str]:
    """A data store with the sample events."""
    client = connect(opensearch_url, None, {})
    names = ("cloudtrail-examples", "stellar-alerts")
    client.indices.delete(index=",".join(names), ignore=404)
    create_index(client, names[0], pack_fields())
    samples = (PROJECT / "tests/samples/export.ndjson", lambda problem: pytest.fail(str(problem)))
    load_documents(client, names[0], (flatten(record) for _, record in read_records(*samples)))
    yield opensearch_url
    for name in names:
        client.indices.delete(index=name, ignore=404)


def check(example: doctest.DocTest, **names: str) -> None:
    """Run an example with the names of its module at hand, and these."""
    module = str(example.globs.get("__name__", "sigma_stellar_aws"))
    example.globs.update({**vars(import_module(module)), **names})
    words: list[str] = []
    with chdir(PROJECT):
        failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=words.append, clear_globs=False)
    assert not failed, "".join(words)


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", [each for each in EXAMPLES if not needs_store(each)], ids=lambda each: each.name)
def test_an_example_is_true(example: doctest.DocTest) -> None:
    """What an example shows is what comes out."""
    check(example)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if needs_store(each)], ids=lambda each: each.name)
def test_an_example_of_a_store_is_true(example: doctest.DocTest, store_url: str) -> None:
    """What an example with a data store shows is what comes out."""
    check(example, store_url=store_url)


def test_examples_are_found() -> None:
    """The README and most modules that compute something have one."""
    assert len(EXAMPLES) > 20
    assert "README" in {example.name for example in EXAMPLES}
    assert all(example.examples for example in EXAMPLES)
