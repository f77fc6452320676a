"""The JetStream streams and buckets we use, made once and made again when they are gone.

An event stream keeps everything (limits retention without limits) and refuses deletes and
purges: sequence n must stay event n. It holds nothing that the log could not publish again.
"""

from dataclasses import replace
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, KeyValueConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, BucketNotFoundError, NotFoundError

from shared.contracts.base import LOG_SERVICES
from shared.contracts.subjects import DESIRED_BUCKET, DESIRED_STREAM, event_stream, events_of

API_TIMEOUT_S: Final = 5
NAME_IN_USE: Final = 10058


def event_stream_config(service: str, replicas: int = 1) -> StreamConfig:
    """Return how the stream of a service's events shall be."""
    return StreamConfig(
        name=event_stream(service),
        description=f"Replica of the log of {service}; sequence = log position",
        subjects=[events_of(service)],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        max_msgs=-1,
        max_bytes=-1,
        max_age=0,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
        allow_direct=True,
    )


async def ensure_event_stream(
    js: JetStreamContext, service: str, *, replicas: int | None = None
) -> int:
    """Make sure that a service's event stream exists as it shall; returns its last sequence.

    `replicas` None leaves an existing stream's replication alone. Raises `nats` errors when the
    server cannot be asked or refuses.
    """
    wanted = event_stream_config(service, replicas or 1)
    name = event_stream(service)
    try:
        info = await js.stream_info(name)
    except NotFoundError:
        try:
            info = await js.add_stream(wanted)
        except BadRequestError as problem:
            if problem.err_code != NAME_IN_USE:
                raise
            info = await js.stream_info(name)  # another process made it at the same moment
    changed = replace(
        info.config,
        subjects=wanted.subjects,
        discard=wanted.discard,
        max_msgs=-1,
        max_bytes=-1,
        max_age=0,
        deny_delete=True,
        deny_purge=True,
        num_replicas=replicas or info.config.num_replicas,
    )
    if changed != info.config:
        info = await js.update_stream(changed)
    return info.state.last_seq


async def ensure_desired_bucket(js: JetStreamContext, *, replicas: int = 1) -> None:
    """Make sure that the bucket of desired kernels exists and takes atomic batches."""
    try:
        await js.key_value(DESIRED_BUCKET)
    except BucketNotFoundError:
        await js.create_key_value(
            KeyValueConfig(
                bucket=DESIRED_BUCKET,
                description="What each node shall run: <agent>.<kernel> -> KernelSpec",
                history=1,
                storage=StorageType.FILE,
                replicas=replicas,
            )
        )
    config = (await js.stream_info(DESIRED_STREAM)).config
    if not config.allow_atomic:
        await js.update_stream(replace(config, allow_atomic=True))


async def provision(nats: Client, *, replicas: int | None = None) -> None:
    """Make sure that every stream and bucket exists; safe to repeat at any time."""
    js = nats.jetstream(timeout=API_TIMEOUT_S)
    for service in LOG_SERVICES:
        await ensure_event_stream(js, service, replicas=replicas)
    await ensure_desired_bucket(js, replicas=replicas or 1)
