"""`qm login` and `qm logout`."""

from pathlib import Path
from typing import Any, Final

import click

from services.gateway.cli.api import Api, ApiError, anonymous, cli_of, connect
from services.gateway.cli.output import print_json, when
from services.gateway.cli.prompting import read_code, read_password
from services.gateway.cli.settings import (
    Cli,
    CliError,
    forget_credentials,
    json_option,
    read_credentials,
    store_credentials,
    stored_path,
)

OTP_REQUIRED: Final = "otp_required"


@click.command()
@click.option("--endpoint", metavar="URL", help="The gateway's address.")
@click.option("--email", help="Who logs in; asked for when absent.")
@click.option("--otp", help="The code of your second factor; asked for when absent.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--credentials",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Take e-mail and password from FILE (such as var/admin-credentials.json).",
)
@json_option
@click.pass_context
def login(
    ctx: click.Context,
    *,
    endpoint: str | None,
    email: str | None,
    otp: str | None,
    password_stdin: bool,
    file: str | None,
) -> None:
    """Log in and keep the token for later commands (never the password)."""
    cli = cli_of(ctx)
    cli.endpoint = endpoint or cli.endpoint
    given = _given(cli, file)
    with anonymous(cli, given) as api:
        body = {
            "email": email or given.get("email") or click.prompt("E-mail", err=True),
            "password": _password(given, password_stdin=password_stdin),
        }
        answer = _log_in(api, body, otp)
        kept = {
            "endpoint": api.endpoint,
            "email": body["email"],
            "token": answer["token"],
            "expires_at": answer.get("expires_at"),
        }
        path = store_credentials(kept)
    _tell(cli, kept, path, answer)


@click.command()
@json_option
@click.pass_context
def logout(ctx: click.Context) -> None:
    """End the log-in at the gateway and forget its token."""
    cli = cli_of(ctx)
    if not read_credentials(stored_path()).get("token"):
        raise CliError("you are not logged in")
    try:
        with connect(Cli(cli.endpoint, None, cli.as_json)) as api:
            api.post("/v1/auth/logout")
    finally:
        # The token is forgotten here whatever the gateway says: it may be gone or long expired.
        forget_credentials()
    if cli.as_json:
        print_json({"logged_in": False})
    else:
        click.echo("Logged out.")


def _log_in(api: Api, body: dict[str, Any], otp: str | None) -> dict[str, Any]:
    """Log in; where a code of an authenticator is asked for and none was given, ask for it."""
    try:
        return api.post("/v1/auth/login", body | ({"otp": otp} if otp else {}))
    except ApiError as error:
        if error.code != OTP_REQUIRED or otp:
            raise
    return api.post("/v1/auth/login", body | {"otp": read_code()})


def _given(cli: Cli, file: str | None) -> dict[str, Any]:
    path = file or cli.credentials_file
    if not path:
        return {}
    found = read_credentials(Path(path))
    if not found:
        raise CliError(f"there are no credentials in {path}")
    return found


def _password(given: dict[str, Any], *, password_stdin: bool) -> str:
    known = given.get("password")
    if known and not password_stdin:
        return str(known)
    return read_password("Password", from_stdin=password_stdin)


def _tell(cli: Cli, kept: dict[str, Any], path: Path, answer: dict[str, Any]) -> None:
    must_change = bool(answer.get("password_change_required"))
    if cli.as_json:
        shown = {name: kept[name] for name in ("endpoint", "email", "expires_at")}
        print_json(shown | {"stored_in": str(path), "password_change_required": must_change})
        return
    until = f" until {when(kept['expires_at'])}" if kept["expires_at"] else ""
    click.echo(f"Logged in to {kept['endpoint']} as {kept['email']}{until}.")
    if must_change:
        click.echo("Your password was set by somebody else: change it with 'qm passwd'.", err=True)
