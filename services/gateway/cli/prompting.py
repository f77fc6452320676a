"""Passwords and confirmations: typed unseen, or from a pipe; never on the command line."""

import os
import sys
from typing import Final

import click

from services.gateway.cli.settings import CliError

PASSWORD: Final = "QM_PASSWORD"  # noqa: S105  # a name
NEW_PASSWORD: Final = "QM_NEW_PASSWORD"  # noqa: S105  # a name


def read_line(what: str) -> str:
    """Return the next line of standard input; raises CliError when there is none."""
    line = sys.stdin.readline()
    if not line:
        raise CliError(f"standard input has no line for {what}")
    return line.rstrip("\n")


def read_password(
    what: str, *, from_stdin: bool, variable: str = PASSWORD, twice: bool = False
) -> str:
    """Return a password: a line of standard input, the environment's, or what is typed unseen.

    `what` names it in the prompt; `twice` has a new one typed again.
    """
    if from_stdin:
        return read_line(what.lower())
    if known := os.environ.get(variable):
        return known
    return str(click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))


def read_code(what: str = "Six-digit code") -> str:
    """Return a code of an authenticator; raises CliError when nobody gives one."""
    try:
        return str(click.prompt(what, err=True)).replace(" ", "")
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        raise CliError("a code of your authenticator is needed, and there is none") from error


def confirm_by_typing(expected: str, about: str) -> None:
    """Go on only when `expected` is typed; raises CliError otherwise."""
    try:
        typed = click.prompt(f"{about}\nType {expected} to go on", err=True)
    except click.Abort as error:
        raise CliError("not confirmed; nothing was done (--yes confirms beforehand)") from error
    if str(typed).strip() != expected:
        raise CliError(f"that is not {expected}; nothing was done")
