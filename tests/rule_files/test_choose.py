"""Rules are chosen by what people call them."""

import pytest

from sigma_stellar_aws.base.errors import NotFoundError
from sigma_stellar_aws.rule_files.choose import choose_rules
from sigma_stellar_aws.rule_files.load import filters_path, load_rules, pack_path


def titles(only: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    """The titles of the rules of the pack that are chosen."""
    return [rule.title for rule in choose_rules(load_rules(), only, exclude).rules]


def test_each_name_of_a_rule() -> None:
    """Title, id, file with its path, file name and its stem all name the same rule; order is that of the rules."""
    file = pack_path() / "aws_kms_key_created.yml"
    [rule] = load_rules(file).rules
    for name in (rule.title, str(rule.id), str(file), file.name, file.stem):
        assert titles(only=(name,)) == [rule.title]
        assert titles(exclude=(name,)) == [title for title in titles() if title != rule.title]
    assert titles(only=("aws_waf_acl_deleted", rule.title)) == [rule.title, "AWS WAF Access Control List Deletion"]


def test_a_name_that_is_not_there() -> None:
    """The name that was meant is said, whatever its case."""
    with pytest.raises(NotFoundError, match=r"'kms keys creation' is not .*; did you mean 'KMS Keys Creation'\?"):
        titles(only=("kms keys creation",))
    with pytest.raises(NotFoundError, match="'something quite different' is not the title, id or file"):
        titles(exclude=("something quite different",))
    with pytest.raises(NotFoundError, match="no rule is left by --only and --exclude"):
        titles(only=("KMS Keys Creation",), exclude=("aws_kms_key_created",))


def test_a_filtered_rule_keeps_its_file() -> None:
    """Rules are called by their files with filters too, which pySigma makes new rules of."""
    filters = sorted(filters_path().glob("*.yml"))
    assert filters
    rules = choose_rules(load_rules(filters=filters), ("aws_kms_key_created",))
    assert [rule.title for rule in rules.rules] == ["KMS Keys Creation"]
