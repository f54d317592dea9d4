"""The reference: what is made from the code is as the code has it, and a topic can be read offline."""

from click.testing import CliRunner

from sigma_stellar_aws.cli import ENVIRONMENT, EXIT_CODES, main
from sigma_stellar_aws.cli.reference_page import PAGE, brought_up_to_date, reference_topics, topics

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_is_as_the_code() -> None:
    """Every option, exit code and variable stands in the page as the code has it."""
    made = brought_up_to_date(TEXT, main, {"exit-codes": EXIT_CODES, "environment": ENVIRONMENT})
    assert made == TEXT, "run: python -m sigma_stellar_aws.cli.reference_page"
    assert "| `--window TIME` |" in TEXT


def test_a_topic_is_printed() -> None:
    """Without a topic the topics are listed; a topic prints its section, and nothing else."""
    listed = CliRunner().invoke(main, ["reference"])
    assert listed.stdout.split() == [*topics(TEXT), "fields-of-an-alert"]
    printed = CliRunner().invoke(main, ["reference", "keys-of-a-rule"])
    assert printed.exit_code == 0
    assert printed.stdout.startswith("## Keys of a rule\n")
    assert printed.stdout.count("\n## ") == 0
    assert "| `severity` |" in printed.stdout


def test_every_topic_can_be_read() -> None:
    """No topic shows the marks of what is made from the code; that of alerts has all fields."""
    for topic in reference_topics():
        printed = CliRunner().invoke(main, ["reference", topic])
        assert printed.exit_code == 0
        assert len(printed.stdout) > 200
        assert "<!--" not in printed.stdout
    fields = CliRunner().invoke(main, ["reference", "fields-of-an-alert"]).stdout
    assert fields.startswith("# Fields of an alert\n")
    assert "| `first_event.matched` |" in fields


def test_a_topic_that_is_not_there() -> None:
    """A name that is nearly one is told."""
    ended = CliRunner().invoke(main, ["reference", "exit-code"])
    assert ended.exit_code == 2
    assert "there is no topic 'exit-code'; did you mean exit-codes?" in ended.stderr
