"""The command reference."""

import click

from sigma_stellar_aws.base.text import did_you_mean, nearest
from sigma_stellar_aws.cli.reference_page import PAGE, topics


@click.command()
@click.argument("topic", required=False)
def reference(topic: str | None) -> None:
    """Print the reference, or one TOPIC of it; without a topic, list the topics."""
    sections = topics(PAGE.read_text(encoding="utf-8"))
    if topic is None:
        click.echo("\n".join(sections))
    elif topic in sections:
        click.echo(sections[topic], nl=False)
    else:
        hint = did_you_mean(nearest(topic, sections)) or f"; there are {', '.join(sections)}"
        raise click.UsageError(f"there is no topic {topic!r}{hint}")
