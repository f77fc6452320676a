"""Creating, changing and deleting project policies."""

from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.policies import PROJECT_POLICIES
from services.gateway.writes import Written
from shared.contracts.policies import ChangeProjectPolicy, CreateProjectPolicy, DeletePolicy
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

READ_ONLY: Final = frozenset({"id", "name", "created_at", "modified_at"})


class CreateProjectPolicyBody(Body, frozen=True, kw_only=True):
    """A new project policy; its name is its identity for ever. What is absent is unlimited."""

    name: str
    max_folder_count: int | None = None
    max_quota_scope_size: int | None = None
    max_network_count: int | None = None


class PatchProjectPolicyBody(Body, frozen=True, kw_only=True):
    """What can be changed of a project policy: a merge patch. Null is unlimited."""

    max_folder_count: int | UnsetType | None = UNSET
    max_quota_scope_size: int | UnsetType | None = UNSET
    max_network_count: int | UnsetType | None = UNSET


async def create_project_policy(
    gateway: Gateway, call: Call, body: CreateProjectPolicyBody, key: CommandKey | None = None
) -> Written:
    """Create a project policy."""
    command = CreateProjectPolicy(**asdict(body))
    return await gateway.writes.perform(call, command, key)


async def patch_project_policy(
    gateway: Gateway,
    call: Call,
    name: str,
    body: PatchProjectPolicyBody,
    key: CommandKey | None = None,
) -> Written:
    """Change what is given of a project policy."""
    found = await gateway.reads.decoded(PROJECT_POLICIES, call.caller(), name)
    if isinstance(found, Rejection):
        raise Refused(found)
    return await gateway.writes.perform(call, project_policy_change(found, body), key)


def project_policy_change(
    found: dict[str, Any], body: PatchProjectPolicyBody
) -> ChangeProjectPolicy:
    """Return the command that a patch of a policy means."""
    return ChangeProjectPolicy(name=found["name"], **asdict(body))


async def delete_project_policy(
    gateway: Gateway, call: Call, name: str, key: CommandKey | None = None
) -> Written:
    """Delete a project policy that nothing uses."""
    return await gateway.writes.perform(call, DeletePolicy(kind="project", name=name), key)
