"""What ``import sigma_stellar_aws`` offers, and that it costs nothing until it is used."""

import subprocess
import sys

import pytest

import sigma_stellar_aws


@pytest.mark.parametrize("name", sigma_stellar_aws.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    """Every name is what its module calls it, typed, and has a docstring; functions show an example."""
    found = getattr(sigma_stellar_aws, name)
    assert found.__name__ == name
    assert found.__doc__
    assert name in dir(sigma_stellar_aws)
    if not isinstance(found, type):
        assert ">>>" in found.__doc__
        assert "return" in found.__annotations__


def test_an_unknown_name_is_an_error() -> None:
    """A name that is not there is told as of any module."""
    with pytest.raises(AttributeError, match="module 'sigma_stellar_aws' has no attribute 'convert_every'"):
        sigma_stellar_aws.convert_every  # type: ignore[attr-defined]  # noqa: B018


def test_the_import_is_light() -> None:
    """The package itself loads nothing but the standard library's importlib and typing."""
    program = "import sys; before = {*sys.modules}; import sigma_stellar_aws; print({*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in eval(done.stdout)}
    assert loaded - {"sigma_stellar_aws"} <= sys.stdlib_module_names
    assert [name for name in eval(done.stdout) if name.startswith("sigma_stellar_aws.")] == []


def test_rules_are_named_by_strings_or_paths() -> None:
    """A name of a file or folder may be a text, as everywhere in Python."""
    assert len(sigma_stellar_aws.load_rules("rules").rules) == 29
    assert len(sigma_stellar_aws.check_rules(["rules/aws_kms_key_created.yml"]).checked) == 1


WITHOUT_EXTRAS = """
import pydoc, sys
sys.modules.update(opensearchpy=None, maxminddb=None)
import sigma_stellar_aws
text = pydoc.render_doc(sigma_stellar_aws, renderer=pydoc.plaintext)
print("alerts_of_files(paths" in text, "alerts_of_store(client" in text)
try:
    from sigma_stellar_aws import connect
except ModuleNotFoundError as error:
    print(error.name, error)
"""


def test_what_needs_an_extra_says_so() -> None:
    """Without the packages of the extras, help() shows all else, and a name that needs one says which."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "True False",
        "opensearchpy connect needs the package opensearchpy; install it with: pip install 'sigma-stellar-aws[store]'",
    ]
