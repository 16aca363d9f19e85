"""Asking before what is hard to undo; where there is nobody to ask, --yes must have been said."""

from __future__ import annotations

import sys

import click


def require_somebody_to_ask(is_sure: bool) -> None:
    """To be called before anything else is done."""
    if not is_sure and not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask here; say --yes if you mean it")


def ask(question: str) -> None:
    """Returns when the answer is yes; click.Abort when it is no, or there is none."""
    try:
        if click.confirm(question, err=True):
            return
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # which click takes for a no
            raise KeyboardInterrupt from None
    raise click.Abort
