"""The command completion."""

import click
from click.shell_completion import get_completion_class

from sigma_stellar_aws.cli.shell_completion import COMPLETE

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what lets a shell complete commands, options, files, rules and topics, to be read when the shell starts.

    \b
    bash: eval "$(sigma-stellar-aws completion bash)", in ~/.bashrc
    zsh:  eval "$(sigma-stellar-aws completion zsh)", in ~/.zshrc
    fish: sigma-stellar-aws completion fish | source, in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "sigma-stellar-aws", COMPLETE).source())
