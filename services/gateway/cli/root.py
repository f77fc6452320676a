"""The root of the command line: global options and the list of commands."""

import sys

import click

from services.gateway.cli.lazy import LazyGroup
from services.gateway.cli.settings import Cli
from services.gateway.version import VERSION

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    lazy={
        "login": (f"{COMMANDS}.login:login", "Log in and keep the token for later commands."),
        "logout": (f"{COMMANDS}.login:logout", "End the log-in and forget the token."),
        "session": (f"{COMMANDS}.session:session", "Run, list, show and terminate sessions."),
        "agent": (f"{COMMANDS}.agent:agent", "See the machines that run sessions."),
        "group": (f"{COMMANDS}.group:group", "See and change resource groups and who may enter."),
        "what-if": (f"{COMMANDS}.what_if:what_if", "Replay a queue under other options."),
        "user": (f"{COMMANDS}.user:user", "See, create and change the people who use the cluster."),
        "keypair": (f"{COMMANDS}.keypair:keypair", "See, issue and change programs' credentials."),
        "project": (f"{COMMANDS}.project:project", "See and change projects and their members."),
        "domain": (f"{COMMANDS}.domain:domain", "See, create and change domains."),
        "policy": (f"{COMMANDS}.policy:policy", "See and change resource policies."),
        "preset": (f"{COMMANDS}.preset:preset", "See and change named requests for resources."),
        "settings": (f"{COMMANDS}.settings:settings", "See and change how the cluster behaves."),
        "export": (f"{COMMANDS}.export:export", "Write a whole list as CSV."),
        "passwd": (f"{COMMANDS}.passwd:passwd", "Change your own password."),
        "totp": (f"{COMMANDS}.totp:totp", "Switch your second factor on and off."),
        "maintenance": (
            f"{COMMANDS}.maintenance:maintenance",
            "Check and correct what the cluster keeps.",
        ),
        "status": (f"{COMMANDS}.status:status", "Show how the installation is."),
        "keys": (f"{COMMANDS}.keys:keys", "Renew the keys that secrets are sealed with."),
        "log": (f"{COMMANDS}.log:log", "Check this machine's event log."),
    },
)
@click.option("--endpoint", metavar="URL", envvar="QM_ENDPOINT", help="The gateway's address.")
@click.option(
    "--credentials",
    metavar="FILE",
    envvar="QM_CREDENTIALS",
    type=click.Path(dir_okay=False),
    help="Sign requests with the keypair in FILE (such as var/admin-credentials.json).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.version_option(VERSION, "--version", prog_name="qm", message="%(prog)s %(version)s")
@click.pass_context
def root(
    ctx: click.Context, *, endpoint: str | None, credentials: str | None, as_json: bool
) -> None:
    """Quartermaster: the control plane of a shared AI compute cluster."""
    ctx.obj = Cli(endpoint=endpoint, credentials_file=credentials, as_json=as_json)


def main() -> None:
    """Run the command line and leave with its exit code; Ctrl-C leaves with 130."""
    try:
        sys.exit(root.main(prog_name="qm", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("qm: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`head`, a pager) has seen enough; what is left in the buffer goes nowhere.
        sys.stderr.close()
        sys.exit(141)
