"""What `qm session run --dry-run` prints."""

from typing import Any

import click

from services.gateway.cli.output import between, print_json, print_table


def tell_simulation(found: dict[str, Any], *, as_json: bool) -> None:
    """Print what would become of sessions if they were submitted."""
    if as_json:
        print_json(found)
        return
    print_table(
        ("name", "starts now", "where or why not"), [_row(one) for one in found["sessions"]]
    )
    group = found["resource_group"]
    tell_adjustments(found["adjustments"])
    click.echo(f"{found['starting_now']} of {found['total']} would start now in {group}.")


def tell_adjustments(found: list[dict[str, Any]]) -> None:
    """Say what was raised to the minimum of the image, where it does not disturb output."""
    for one in found:
        click.echo(one["text"], err=True)


def _row(one: dict[str, Any]) -> tuple[str, str, str]:
    if one["starts_now"]:
        agents = dict.fromkeys(kernel["agent_id"] for kernel in one["kernels"])
        return one["name"], "yes", ", ".join(agents)
    place = "in the queue" if one["position"] is None else f"number {one['position']}"
    estimate = one["estimated_start"]
    likely = f" It will likely start {between(estimate)}." if estimate else ""
    return one["name"], f"no, {place}", one["reason"]["message"] + likely
