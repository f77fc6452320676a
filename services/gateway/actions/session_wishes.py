"""What a new session may ask for beside its resources: shared memory, and certain agents."""

from typing import Any

from services.gateway.auth.permissions import forbidden, may
from services.gateway.auth.principals import Principal
from services.gateway.http.problems import Refused
from shared.kernel.rejections import FieldError
from shared.kernel.slots import parse_amount


def shared_memory_of(
    asked: int | str | None, preset: dict[str, Any], errors: list[FieldError]
) -> int | None:
    """Return how much shared memory, in bytes, each kernel shall have: as asked, or the preset's.

    What is wrong with it is added to `errors`.
    """
    if asked is None:
        size: int | None = preset.get("shared_memory")
        return size
    amount = parse_amount("mem", asked)
    if isinstance(amount, FieldError):
        message = "shared_memory is a size such as 67108864 or '64m'."
        errors.append(FieldError("shared_memory", amount.code, message))
        return None
    return amount


def may_designate(principal: Principal, agents: list[str]) -> tuple[str, ...]:
    """Return the agents that a session is bound to; raises Refused (403) for who may not choose."""
    action = "sessions.designate"
    if agents and not may(principal, action):
        raise Refused(forbidden(action))
    return tuple(dict.fromkeys(agents))
