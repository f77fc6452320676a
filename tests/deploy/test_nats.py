"""The embedded NATS server keeps its streams and knows its users."""

import nats
import pytest
from nats.errors import Error

from shared.testing.servers import NatsServer


async def _connect(url: str, **options: bool):
    async def quiet(_error: Exception) -> None:
        return

    return await nats.connect(url, error_cb=quiet, **options)


async def test_streams_and_address_survive_kill_9(nats_server: NatsServer):
    client = await _connect(nats_server.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
    ack = await client.jetstream().publish("kept.one", b"1")
    assert ack.seq == 1
    await client.close()
    await nats_server.kill()
    await nats_server.start()

    client = await _connect(nats_server.url)
    assert (await client.jetstream().get_msg("KEPT", 1)).data == b"1"
    await client.close()


async def test_a_wiped_server_starts_empty(nats_server: NatsServer):
    client = await _connect(nats_server.url)
    await client.jetstream().add_stream(name="LOST", subjects=["lost.>"])
    await client.close()
    await nats_server.stop()
    nats_server.wipe()
    await nats_server.start()

    client = await _connect(nats_server.url)
    assert await client.jetstream().streams_info() == []
    await client.close()


async def test_nobody_connects_without_a_password(nats_server: NatsServer):
    address = nats_server.url.rpartition("@")[2]
    with pytest.raises(Error):
        await _connect(f"nats://{address}", allow_reconnect=False)
