"""Creating, changing and deleting user policies."""

from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.policies import USER_POLICIES
from services.gateway.writes import Written
from shared.contracts.policies import ChangeUserPolicy, CreateUserPolicy, DeletePolicy
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

READ_ONLY: Final = frozenset({"id", "name", "created_at", "modified_at"})


class CreateUserPolicyBody(Body, frozen=True, kw_only=True):
    """A new user policy; its name is its identity for ever. What is absent is unlimited."""

    name: str
    max_folder_count: int | None = None
    max_quota_scope_size: int | None = None
    max_session_count_per_model_session: int | None = None
    max_customized_image_count: int | None = None


class PatchUserPolicyBody(Body, frozen=True, kw_only=True):
    """What can be changed of a user policy: a merge patch. Null is unlimited."""

    max_folder_count: int | UnsetType | None = UNSET
    max_quota_scope_size: int | UnsetType | None = UNSET
    max_session_count_per_model_session: int | UnsetType | None = UNSET
    max_customized_image_count: int | UnsetType | None = UNSET


async def create_user_policy(
    gateway: Gateway, call: Call, body: CreateUserPolicyBody, key: CommandKey | None = None
) -> Written:
    """Create a user policy."""
    command = CreateUserPolicy(**asdict(body))
    return await gateway.writes.perform(call, command, key)


async def patch_user_policy(
    gateway: Gateway,
    call: Call,
    name: str,
    body: PatchUserPolicyBody,
    key: CommandKey | None = None,
) -> Written:
    """Change what is given of a user policy."""
    found = await gateway.reads.decoded(USER_POLICIES, call.caller(), name)
    if isinstance(found, Rejection):
        raise Refused(found)
    return await gateway.writes.perform(call, user_policy_change(found, body), key)


def user_policy_change(found: dict[str, Any], body: PatchUserPolicyBody) -> ChangeUserPolicy:
    """Return the command that a patch of a policy means."""
    return ChangeUserPolicy(name=found["name"], **asdict(body))


async def delete_user_policy(
    gateway: Gateway, call: Call, name: str, key: CommandKey | None = None
) -> Written:
    """Delete a user policy that nothing uses."""
    return await gateway.writes.perform(call, DeletePolicy(kind="user", name=name), key)
