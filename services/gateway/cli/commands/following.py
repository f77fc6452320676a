"""Following a task that takes its time: progress on a terminal, Ctrl-C cancels it."""

import sys
import time
from typing import Any, Final

import click

from services.gateway.cli.api import Api, ApiError
from services.gateway.cli.settings import CliError

PAUSE_FIRST_S: Final = 0.2
PAUSE_LAST_S: Final = 2.0


def follow(api: Api, task_id: str, hint: str) -> dict[str, Any]:
    """Return a task when it is over, done or cancelled; raises CliError when it failed.

    There is no deadline but the caller's patience: Ctrl-C asks the gateway to cancel it, and then
    waits for what has been done by then. `hint` is printed first.
    """
    pause_s, is_asked = PAUSE_FIRST_S, False
    while True:
        try:
            if hint:
                click.echo(hint, err=True)
                hint = ""
            task = api.get(f"/v1/tasks/{task_id}")
            _show(task)
            if task["status"] != "running":
                break
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, PAUSE_LAST_S)
        except KeyboardInterrupt:
            if is_asked:
                raise
            is_asked, pause_s = True, PAUSE_FIRST_S
            _cancel(api, task_id)
    if task["status"] == "failed":
        raise CliError(f"it failed: {task.get('error') or task.get('message')}")
    return task


def _cancel(api: Api, task_id: str) -> None:
    click.echo("\nCancelling; what is done stays done.", err=True)
    try:
        api.post(f"/v1/tasks/{task_id}/cancel")
    except ApiError as error:
        if error.code != "task_over":
            raise


def _show(task: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        done = task["progress"]
        line = f"{done['done']} of {done['total']} {done['unit']} {task['message']}"
        end = "" if task["status"] == "running" else "\n"
        click.echo(f"\r\033[K{line[:100]}{end}", err=True, nl=False)
