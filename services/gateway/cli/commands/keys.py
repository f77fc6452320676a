"""`qm keys`: the master keys that this installation's secrets are sealed with."""

from collections.abc import Iterator
from typing import Any, Final

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.installation import data_option, key_files
from services.gateway.cli.output import print_fields, print_json
from services.gateway.cli.settings import CliError, json_option

PERMISSION: Final = "keys.reseal"
AGAIN: Final = "run 'qm keys reseal' to go on"


@click.group()
def keys() -> None:
    """Renew the keys that secrets are sealed with."""


@keys.command()
@data_option
@json_option
@click.pass_context
def rotate(ctx: click.Context, /, *, data: str) -> None:
    """Add a master key to this machine's installation, and seal every secret under it.

    Nothing is issued anew: passwords, keypairs, tokens and one-time passwords stay as they are.
    Older keys stay in the file, because events and answers of the past are sealed with them: back
    the file up again. Stopped half way, 'qm keys reseal' goes on; so does another rotation.
    """
    cli = cli_of(ctx)
    # Only this command needs the keys; importing what reads them takes longer than most run.
    from shared.security.key_file import KeyFileError  # noqa: PLC0415
    from shared.security.rotation import rotate as add_key  # noqa: PLC0415

    with connect(cli) as api:
        if PERMISSION not in api.get("/v1/auth/me")["capabilities"]:
            raise CliError("only a superadmin may renew the keys; nothing was changed")
        master, node = key_files(data)
        try:
            version = add_key(master, node).version
        except KeyFileError as error:
            raise CliError(str(error)) from error
        _say(cli.as_json, f"Master key {version} is in {master}; back this file up.")
        done = _reseal(api, quiet=cli.as_json)
    if done["key_version"] < version:
        raise CliError(
            f"the users service still seals with key {done['key_version']}: it does not see"
            f" {master}; restart the services, then {AGAIN}"
        )
    _report(done, as_json=cli.as_json)


@keys.command()
@json_option
@click.pass_context
def reseal(ctx: click.Context, /) -> None:
    """Seal every secret under the newest master key, as 'qm keys rotate' does at its end."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        done = _reseal(api, quiet=cli.as_json)
    _report(done, as_json=cli.as_json)


def _reseal(api: Api, *, quiet: bool) -> dict[str, Any]:
    """Ask until nothing remains; returns the totals. Raises CliError when it does not get on."""
    total = 0
    for done in _steps(api):
        total += done["resealed"]
        if not done["remaining"]:
            return {**done, "resealed": total}
        _say(quiet, f"{total} secrets sealed anew, {done['remaining']} remain …")
    raise CliError(f"{total} secrets were sealed anew, then it got no further; {AGAIN}")


def _steps(api: Api) -> Iterator[dict[str, Any]]:
    while True:
        done = api.post("/v1/system/keys/reseal")
        yield done
        if not done["resealed"]:
            return


def _report(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
    else:
        print_fields([("key", done["key_version"]), ("sealed anew", done["resealed"])])
    if done["unreadable"]:
        raise CliError(
            f"{done['unreadable']} secrets open under no key and were left as they are;"
            " the log of the users service names them"
        )


def _say(quiet: bool, text: str) -> None:  # noqa: FBT001  # two arguments, no doubt
    if not quiet:
        click.echo(text, err=True)
