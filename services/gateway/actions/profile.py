"""What people change of themselves: names, password, one-time passwords."""

from io import BytesIO
from typing import Final

import msgspec
import segno
from msgspec import UNSET, UnsetType

from services.gateway.actions.users import READ_ONLY as _USERS_READ_ONLY
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.patches import given
from services.gateway.http.problems import Refused
from services.gateway.reads.users import USERS
from services.gateway.writes import Written
from shared.contracts.users import BeginTotp, ChangeOwnPassword, ChangeUser, ConfirmTotp, RemoveTotp
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection
from shared.security.totp import provisioning_uri
from shared.security.transport import open_totp_secret, seal_password

# what an administrator may change and the users themselves may not
READ_ONLY: Final = _USERS_READ_ONLY | {
    "password",
    "status",
    "role",
    "projects",
    "resource_policy",
    "password_change_required",
    "sudo_session_enabled",
    "totp_enabled",
}
_QUIET_ZONE: Final = 4


class PatchProfileBody(Body, frozen=True, kw_only=True):
    """What people can change of themselves: a merge patch."""

    username: str | UnsetType = UNSET
    full_name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET


class PasswordBody(Body, frozen=True, kw_only=True):
    """The old password and a new one."""

    old: str
    new: str


class CodeBody(Body, frozen=True, kw_only=True):
    """A code that an authenticator shows right now."""

    code: str


class NewTotp(msgspec.Struct, kw_only=True):
    """A seed for an authenticator: as text, as an address, and as a picture of that address."""

    secret: str
    uri: str
    qr_svg: str


async def patch_profile(
    gateway: Gateway, call: Call, body: PatchProfileBody, key: CommandKey | None = None
) -> Written:
    """Change one's own names and description."""
    command = ChangeUser(
        user_id=call.caller().user_id,
        username=body.username,
        full_name=given(body.full_name, ""),
        description=given(body.description, ""),
    )
    return await gateway.writes.perform(call, command, key)


async def change_password(
    gateway: Gateway, call: Call, body: PasswordBody, key: CommandKey | None = None
) -> Written:
    """Set one's own password; all one's other log-in sessions end."""
    principal = call.caller()
    command = ChangeOwnPassword(
        user_id=principal.user_id,
        sealed_old=seal_password(gateway.keyring, body.old),
        sealed_new=seal_password(gateway.keyring, body.new),
        keep_login_id=principal.login_id,
    )
    return await gateway.writes.perform(call, command, key)


async def begin_totp(gateway: Gateway, call: Call, key: CommandKey | None = None) -> NewTotp:
    """Draw a seed; it counts once a code of it has been confirmed."""
    principal = call.caller()
    user = await gateway.reads.decoded(USERS, principal, principal.user_id)
    if isinstance(user, Rejection):
        raise Refused(user)
    command = BeginTotp(user_id=principal.user_id)
    written = await gateway.writes.perform(call, command, key)
    sealed = written.result["sealed_secret"]
    secret = open_totp_secret(gateway.keyring, principal.user_id, sealed)
    uri = provisioning_uri(secret, user["email"])
    return NewTotp(secret=secret, uri=uri, qr_svg=await gateway.offloop.run(lambda: picture(uri)))


async def confirm_totp(
    gateway: Gateway, call: Call, body: CodeBody, key: CommandKey | None = None
) -> Written:
    """Switch one-time passwords on."""
    command = ConfirmTotp(user_id=call.caller().user_id, code=body.code)
    return await gateway.writes.perform(call, command, key)


async def remove_totp(
    gateway: Gateway, call: Call, body: CodeBody, key: CommandKey | None = None
) -> Written:
    """Switch one-time passwords off."""
    command = RemoveTotp(user_id=call.caller().user_id, code=body.code)
    return await gateway.writes.perform(call, command, key)


def picture(text: str) -> str:
    """Return a QR code as an SVG that has no size of its own: whoever shows it decides."""
    drawn = BytesIO()
    segno.make(text, micro=False, error="m").save(
        drawn,
        kind="svg",
        border=_QUIET_ZONE,
        dark="#000",
        light="#fff",
        omitsize=True,
        xmldecl=False,
        nl=False,
    )
    return drawn.getvalue().decode()
