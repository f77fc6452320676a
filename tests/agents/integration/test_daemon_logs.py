"""Kernels' logs over real NATS: read, followed, kept."""

import asyncio

from shared.contracts.subjects import node_log_subject
from tests.agents.integration.site import AGENT, open_site


async def test_a_log_is_followed_to_its_end(node):
    spec = node.spec("echo one; read line < /dev/null; echo two; sleep 0.3; echo three")
    await node.want(spec)
    await node.until_phase(spec.kernel_id, "preparing")
    whole, offset, ended = b"", 0, False
    async with asyncio.timeout(30):
        while not ended:
            piece = await node.log(spec.kernel_id, offset, wait_s=10)
            whole += piece.data
            offset, ended = piece.next_offset, piece.ended
    assert whole == b"one\ntwo\nthree\n"
    await node.until_ended(spec.kernel_id)
    assert not (await node.log("no-such-kernel")).found


async def test_a_reader_of_a_kernel_that_will_not_start_is_not_kept_waiting(node):
    spec = node.spec("true", image="cr/x:1")
    waiting = asyncio.create_task(node.log(spec.kernel_id, wait_s=25))
    await node.want(spec)
    await node.until_ended(spec.kernel_id)
    assert not (await waiting).found
    assert (await node.log(spec.kernel_id, wait_s=25)).ended


async def test_a_malformed_question_for_a_log_harms_nobody(node):
    spec = node.spec("echo fine")
    await node.want(spec)
    await node.until_ended(spec.kernel_id)
    await node.nats.publish(node_log_subject(AGENT), b"\xff{")
    assert (await node.log(spec.kernel_id)).data == b"fine\n"


async def test_only_so_many_logs_of_forgotten_kernels_are_kept(nats_server, tmp_path):
    async with open_site(nats_server.url, tmp_path, QM_KERNEL_LOGS_KEPT="2") as site:
        await site.start()
        specs = [site.spec(f"echo {number}; echo x > file") for number in range(4)]
        for spec in specs:
            await site.want(spec)
            await site.until_ended(spec.kernel_id)
            await site.forget(spec)
            await site.until_known()
        found = [(await site.log(spec.kernel_id)).found for spec in specs]
        assert found == [False, False, True, True]
        kept = site.folder / "data" / "kernels" / specs[3].kernel_id / "1"
        assert (kept / "log").read_text() == "3\n"
        assert not (kept / "work").exists()
