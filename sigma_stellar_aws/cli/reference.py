"""The command reference."""

import click

from sigma_stellar_aws.base.text import did_you_mean, nearest
from sigma_stellar_aws.cli.complete import complete_topics
from sigma_stellar_aws.cli.reference_page import reference_topics


@click.command()
@click.argument("topic", required=False, shell_complete=complete_topics)
def reference(topic: str | None) -> None:
    """Print the reference, or one TOPIC of it; without a topic, list the topics."""
    sections = reference_topics()
    if topic is None:
        click.echo("\n".join(sections))
    elif topic in sections:
        click.echo(sections[topic], nl=False)
    else:
        hint = did_you_mean(nearest(topic, sections)) or f"; there are {', '.join(sections)}"
        raise click.UsageError(f"there is no topic {topic!r}{hint}")
