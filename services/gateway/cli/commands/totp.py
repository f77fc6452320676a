"""`qm totp`: one's own second factor."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.output import print_fields, print_json
from services.gateway.cli.prompting import read_code
from services.gateway.cli.settings import json_option

# white on black whatever the terminal's own colours are: a camera wants dark modules dark
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


@click.group()
def totp() -> None:
    """Switch your second factor on and off: codes of an authenticator at every log-in."""


@totp.command()
@click.option("--show-secret", is_flag=True, help="Print it as text too, for typing it in.")
@json_option
@click.pass_context
def setup(ctx: click.Context, *, show_secret: bool) -> None:
    """Draw a QR code for your authenticator; `qm totp confirm` then switches it on."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        made = api.post("/v1/users/me/totp")
    if cli.as_json:
        print_json(made if show_secret else {"qr_svg": made["qr_svg"]})
        return
    for line in drawn(made["uri"]):
        click.secho(line, fg=WHITE, bg=BLACK)
    if show_secret:
        print_fields([("secret", made["secret"]), ("address", made["uri"])])
    text = "Scan this with your authenticator, then switch it on with: qm totp confirm"
    click.echo(text, err=True)


@totp.command()
@click.argument("code", required=False)
@json_option
@click.pass_context
def confirm(ctx: click.Context, *, code: str | None) -> None:
    """Switch the second factor on with a CODE of the authenticator; it is asked for if absent."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        answered = api.post("/v1/users/me/totp/confirm", {"code": code or read_code()})
        user = api.settled(answered, "/v1/users/me")
    if cli.as_json:
        print_json(user)
    else:
        click.echo("Your second factor is on: every log-in asks for a code.")


@totp.command()
@click.argument("code", required=False)
@json_option
@click.pass_context
def remove(ctx: click.Context, *, code: str | None) -> None:
    """Switch the second factor off with a CODE of the authenticator."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        answered = api.delete("/v1/users/me/totp", {"code": code or read_code()})
        if "task_id" in answered:
            api.finish(str(answered["task_id"]))
    if cli.as_json:
        print_json({"totp_enabled": False})
    else:
        click.echo("Your second factor is off.")


def drawn(text: str) -> list[str]:
    """Return a QR code as lines of half blocks, the light modules filled."""
    from io import StringIO  # noqa: PLC0415  # only this command needs it

    import segno  # noqa: PLC0415  # costs start-up

    out = StringIO()
    segno.make(text, micro=False, error="m").terminal(out, border=4, compact=True)
    return out.getvalue().splitlines()
