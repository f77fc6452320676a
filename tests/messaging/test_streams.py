"""Streams are made once, made again when gone, and never lose what they hold."""

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from shared.contracts.base import LOG_SERVICES
from shared.contracts.subjects import event_stream
from shared.messaging.streams import ensure_event_stream, provision


async def test_every_service_gets_a_stream_and_repeating_changes_nothing(nats: Client):
    js = nats.jetstream()
    await provision(nats)
    before = [(await js.stream_info(event_stream(service))).config for service in LOG_SERVICES]
    await js.publish("evt.users.domain.a.DomainCreated", b"{}")
    await provision(nats)
    after = [(await js.stream_info(event_stream(service))).config for service in LOG_SERVICES]
    assert after == before
    assert await ensure_event_stream(js, "users") == 1


async def test_nothing_can_be_deleted_from_an_event_stream(nats: Client):
    js = nats.jetstream()
    await ensure_event_stream(js, "users")
    await js.publish("evt.users.domain.a.DomainCreated", b"{}")
    with pytest.raises(APIError):
        await js.delete_msg("EVENTS_users", 1)
    with pytest.raises(APIError):
        await js.purge_stream("EVENTS_users")


async def test_a_stream_that_would_forget_is_put_right(nats: Client):
    js = nats.jetstream()
    await js.add_stream(
        StreamConfig(name="EVENTS_users", subjects=["evt.users.>"], max_msgs=10, max_age=60)
    )
    await ensure_event_stream(js, "users")
    config = (await js.stream_info("EVENTS_users")).config
    assert (config.max_msgs, config.max_age) == (-1, 0)
    assert config.deny_delete
    assert config.deny_purge
