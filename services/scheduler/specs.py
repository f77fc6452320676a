"""What a node is told about a kernel, made from the books."""

import msgspec

from services.scheduler.agents_view import AgentsView
from services.scheduler.domain.session import Kernel, Session
from services.scheduler.policies_view import PoliciesView
from shared.contracts.base import Sealed
from shared.contracts.kernels import KernelPresence, KernelSpec
from shared.security.environ import open_environ, seal_for_node
from shared.security.sealing import Keyring


class SpecMaker:
    """Makes the desired state of kernels, under the leader's epoch and the settings of now."""

    def __init__(
        self, keyring: Keyring, epoch: int, policies: PoliciesView, agents: AgentsView
    ) -> None:
        self._keyring = keyring
        self._epoch = epoch
        self._policies = policies
        self._agents = agents

    def spec(self, session: Session, kernel: Kernel) -> KernelSpec:
        """Return what the node of a placed kernel shall do with it; `environ` is left out."""
        request, place = session.request, kernel.place
        ending, stop = session.ending, session.ending or session.restarting
        if place is None:
            raise ValueError(f"kernel {kernel.kernel_id} has no place")
        is_main = kernel is session.main
        return KernelSpec(
            session_id=session.session_id,
            kernel_id=kernel.kernel_id,
            attempt=session.attempt,
            epoch=self._epoch,
            incarnation=place.incarnation,
            goal="stopped" if stop else "running",
            session_type=request.session_type,
            session_name=request.name,
            image=request.image,
            hostname=kernel.hostname,
            command=request.command if is_main else None,
            environ=None,
            resources=kernel.requested,
            devices=place.devices,
            grace_s=stop.grace_s if stop else 10,
            forced=ending.forced if ending else False,
            sudo=request.sudo,
            image_auto_pull=self._policies.image_auto_pull,
            image_digest=self._agents.digest_for(place.agent_id, request.image),
            shared_memory=request.shared_memory,
            labels={"user": request.user_id, "project": request.project_id},
        )

    def with_environ(
        self, spec: KernelSpec, agent_id: str, user_id: str, sealed: Sealed | None
    ) -> KernelSpec:
        """Return a spec with the environment sealed for its node; raises SealBroken."""
        if sealed is None or spec.goal == "stopped":
            return spec
        environ = open_environ(self._keyring, user_id, sealed)
        resealed = seal_for_node(self._keyring.node_key(agent_id), spec.kernel_id, environ)
        return msgspec.structs.replace(spec, environ=resealed)

    def stop_stray(self, stray: KernelPresence, incarnation: str) -> KernelSpec:
        """Return the order to end a kernel that nobody has booked where it runs."""
        return KernelSpec(
            session_id=stray.session_id,
            kernel_id=stray.kernel_id,
            attempt=stray.attempt,
            epoch=self._epoch,
            incarnation=incarnation,
            goal="stopped",
            session_type="batch",
            session_name="",
            image="",
            hostname="",
            command=None,
            environ=None,
            resources={},
            grace_s=0,
            forced=True,
        )
