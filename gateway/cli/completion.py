"""`graygate completion`: the script that makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gateway.cli.program import NAME


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  eval "$(graygate completion bash)"      in ~/.bashrc
    zsh:   eval "$(graygate completion zsh)"       in ~/.zshrc
    fish:  graygate completion fish | source       in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise TypeError(f"click has no completion for {shell}")
    root = click.get_current_context().find_root().command
    script = kind(root, {}, NAME, f"_{NAME.upper()}_COMPLETE")
    # Not script.source(): for bash it starts a bash to see how old it is, and complains on stderr.
    click.echo(script.source_template % script.source_vars())
