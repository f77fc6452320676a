"""Issuing, changing, revealing and deleting keypairs: one's own, or as a superadmin anybody's."""

from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from services.gateway.auth.permissions import Verdict, forbidden, judge
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.users import KEYPAIRS, USERS
from services.gateway.writes import Written
from shared.contracts.users import (
    ChangeKeypair,
    DeleteKeypair,
    IssueKeypair,
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairStatus,
    RevealKeypair,
    SwitchMainKeypair,
)
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, Rejection
from shared.security.transport import open_secret_key

READ_ONLY: Final = frozenset(
    {
        "id",
        "access_key",
        "user_id",
        "domain",
        "is_main",
        "last_used_at",
        "requests_in_window",
        "created_at",
        "modified_at",
    }
)


class CreateKeypairBody(Body, frozen=True, kw_only=True):
    """One more keypair for a user; what is absent is as in the user's main one.

    Only a superadmin may choose `resource_policy` and `rate_limit` (null is unlimited).
    """

    user_id: str
    resource_policy: str | UnsetType = UNSET
    rate_limit: int | UnsetType | None = UNSET


class PatchKeypairBody(Body, frozen=True, kw_only=True):
    """What can be changed of a keypair: a merge patch. A rate limit of null is unlimited."""

    status: KeypairStatus | UnsetType = UNSET
    resource_policy: str | UnsetType = UNSET
    rate_limit: int | UnsetType | None = UNSET


async def issue_keypair(
    gateway: Gateway, call: Call, body: CreateKeypairBody, key: CommandKey | None = None
) -> Written:
    """Issue a keypair. The result holds `access_key` and, opened, `secret_key`."""
    principal = call.caller()
    user = await gateway.reads.stored(USERS, principal, body.user_id)
    if isinstance(user, Rejection):
        raise Refused(user)
    action = "keypairs.create"
    verdict = judge(principal, action, read_action=USERS.read_action, **_owner(user, "id"))
    if verdict is not Verdict.ALLOWED:
        raise Refused(forbidden(action))
    chosen = [
        name for name in ("resource_policy", "rate_limit") if getattr(body, name) is not UNSET
    ]
    if chosen and principal.role != "superadmin":
        raise Refused(_not_yours_to_choose(chosen))
    command = IssueKeypair(
        user_id=body.user_id, resource_policy=body.resource_policy, rate_limit=body.rate_limit
    )
    written = await gateway.writes.perform(call, command, key)
    return written._replace(result=_opened(gateway, written.result))


async def patch_keypair(
    gateway: Gateway,
    call: Call,
    access_key: str,
    body: PatchKeypairBody,
    key: CommandKey | None = None,
) -> Written:
    """Change what is given of a keypair, all of it or nothing."""
    found = await permitted(gateway, call, access_key, "keypairs.update")
    command = ChangeKeypair(
        access_key=access_key,
        status=body.status,
        resource_policy=body.resource_policy,
        rate_limit=body.rate_limit,
    )
    written = await gateway.writes.perform(call, command, key)
    if isinstance(body.status, str):
        _foresee_status(gateway, written, found, body.status)
    return written


async def set_status(
    gateway: Gateway,
    call: Call,
    access_key: str,
    status: KeypairStatus,
    key: CommandKey | None = None,
) -> Written:
    """Activate or deactivate a keypair; it holds for the very next request."""
    action = "keypairs.activate" if status == "active" else "keypairs.deactivate"
    found = await permitted(gateway, call, access_key, action)
    command = ChangeKeypair(access_key=access_key, status=status)
    written = await gateway.writes.perform(call, command, key)
    _foresee_status(gateway, written, found, status)
    return written


async def make_main(
    gateway: Gateway, call: Call, access_key: str, key: CommandKey | None = None
) -> Written:
    """Make a keypair its user's main one."""
    await permitted(gateway, call, access_key, "keypairs.make-main")
    return await gateway.writes.perform(call, SwitchMainKeypair(access_key=access_key), key)


async def reveal_keypair(
    gateway: Gateway, call: Call, access_key: str, key: CommandKey | None = None
) -> Written:
    """Show a keypair's secret, which is on record. The result is as of `issue_keypair`."""
    await permitted(gateway, call, access_key, "keypairs.reveal")
    written = await gateway.writes.perform(call, RevealKeypair(access_key=access_key), key)
    sealed = written.result["sealed_secret_key"]
    secret_key = open_secret_key(gateway.keyring, access_key, sealed)
    return written._replace(result={"access_key": access_key, "secret_key": secret_key})


async def delete_keypair(
    gateway: Gateway, call: Call, access_key: str, key: CommandKey | None = None
) -> Written:
    """Delete an inactive keypair that is not its user's main one, for ever."""
    found = await permitted(gateway, call, access_key, "keypairs.delete")
    written = await gateway.writes.perform(call, DeleteKeypair(access_key=access_key), key)
    deleted = KeypairDeleted(access_key=access_key, user_id=found["user_id"])
    gateway.directory.foresee(written.position, deleted)
    gateway.secrets.forget(access_key)
    return written


async def permitted(gateway: Gateway, call: Call, access_key: str, action: str) -> dict[str, Any]:
    """Return a keypair that the caller may do `action` to; raises Refused (404, 403)."""
    principal = call.caller()
    text = await gateway.reads.stored(KEYPAIRS, principal, access_key)
    if isinstance(text, Rejection):
        raise Refused(text)
    verdict = judge(principal, action, read_action=KEYPAIRS.read_action, **_owner(text, "user_id"))
    if verdict is not Verdict.ALLOWED:
        raise Refused(forbidden(action))
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def _owner(text: str, field: str) -> dict[str, str]:
    document = msgspec.json.decode(text)
    return {"owner": document[field], "domain": document["domain"]}


def _foresee_status(
    gateway: Gateway, written: Written, found: dict[str, Any], status: KeypairStatus
) -> None:
    kind = KeypairActivated if status == "active" else KeypairDeactivated
    event = kind(access_key=found["access_key"], user_id=found["user_id"])
    gateway.directory.foresee(written.position, event)


def _opened(gateway: Gateway, result: dict[str, Any]) -> dict[str, Any]:
    access_key, sealed = result["access_key"], result["sealed_secret_key"]
    gateway.secrets.put(access_key, sealed)
    secret_key = open_secret_key(gateway.keyring, access_key, sealed)
    return {"access_key": access_key, "secret_key": secret_key}


def _not_yours_to_choose(names: list[str]) -> Rejection:
    message = "Only a superadmin chooses this; leave it out, and it is as in the main keypair."
    errors = tuple(FieldError(name, "forbidden", message) for name in names)
    return Rejection(kind="forbidden", code="forbidden", message=message, errors=errors)
