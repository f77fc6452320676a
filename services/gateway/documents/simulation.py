"""What would become of a session if it were submitted now, as the API tells it."""

import msgspec

from services.gateway.documents.adjustments import AdjustmentDocument, adjustment_documents
from shared.contracts.scheduler import EstimatedStart, Reason, SimulatedSession, Simulation
from shared.kernel.slots import render_amount


class SimulatedKernelDocument(msgspec.Struct, kw_only=True):
    """Where a kernel would run; `devices` is how much it would take of which, by slot."""

    hostname: str
    agent_id: str
    devices: dict[str, dict[str, str]]


class SimulatedSessionDocument(msgspec.Struct, kw_only=True):
    """What would become of one session.

    One that would not start has a `reason`, and a `position` from 1 unless too many wait.
    """

    name: str
    starts_now: bool
    kernels: list[SimulatedKernelDocument]
    position: int | None
    reason: Reason | None
    estimated_start: EstimatedStart | None


class SimulationDocument(msgspec.Struct, kw_only=True):
    """What would become of all: `total` asked for, the first of them in `sessions`.

    `adjustments` are what would be raised to the minimum of the image.
    """

    resource_group: str
    total: int
    starting_now: int
    sessions: list[SimulatedSessionDocument]
    adjustments: list[AdjustmentDocument]


def simulation_document(found: Simulation) -> SimulationDocument:
    """Return what the API tells of a simulation."""
    return SimulationDocument(
        resource_group=found.resource_group,
        total=found.total,
        starting_now=found.starting_now,
        sessions=[_session(one) for one in found.sessions],
        adjustments=adjustment_documents(found.adjustments),
    )


def _session(one: SimulatedSession) -> SimulatedSessionDocument:
    return SimulatedSessionDocument(
        name=one.name,
        starts_now=one.starts_now,
        kernels=[
            SimulatedKernelDocument(
                hostname=kernel.hostname,
                agent_id=kernel.agent_id,
                devices={
                    slot: {device: render_amount(slot, amount) for device, amount in parts.items()}
                    for slot, parts in kernel.devices.items()
                },
            )
            for kernel in one.kernels
        ],
        position=one.position,
        reason=one.reason,
        estimated_start=one.estimated_start,
    )
