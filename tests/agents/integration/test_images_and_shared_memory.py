"""Names for the machine's own programs, and how large a kernel's shared memory may grow."""

import pytest

from services.agents.node.images import FILE
from services.agents.node.process.probe import NO_SHARED_MEMORY
from services.agents.node.runtime import ImageNotAvailableError, LocalImage
from tests.agents.integration.bench import job, open_bench
from tests.agents.integration.test_process_runtime import is_boxed


async def test_shared_memory_ends_where_the_session_asked_it_to(bench):
    if not is_boxed(bench) or NO_SHARED_MEMORY in bench.profile.notes:
        pytest.skip("no sandbox that makes memory file systems of a given size")
    script = (
        "head -c 1048576 /dev/zero > /dev/shm/fits && echo fits;"
        " head -c 9437184 /dev/zero > /dev/shm/more || echo full"
    )
    held = job(script, shared_memory_bytes=8 * 2**20)
    await bench.run(held)
    assert bench.log(held).startswith("fits\n")
    assert bench.log(held).endswith("full\n")
    free = job(script, kernel="free")
    await bench.run(free)
    assert bench.log(free) == "fits\n"


async def test_a_host_without_a_sandbox_says_that_shared_memory_is_not_held(tmp_path):
    async with open_bench(tmp_path / "plain", sandbox=False) as bench:
        assert NO_SHARED_MEMORY in bench.profile.notes


async def test_further_names_are_offered_and_run_the_machines_own_programs(tmp_path):
    async with open_bench(tmp_path / "named", images=("lab/python:3",)) as bench:
        assert bench.profile.images == ("local/host:latest", "lab/python:3")
        made = job("echo hello", image="lab/python:3")
        assert (await bench.run(made)).code == 0
        assert bench.log(made) == "hello\n"
        assert await bench.runtime.find_image("lab/python:3") == LocalImage()
        assert await bench.runtime.find_image("lab/python:4") is None
        with pytest.raises(ImageNotAvailableError, match=r"images\.json"):
            await bench.runtime.fetch_image("lab/python:4")


async def test_each_kernel_is_judged_by_the_rule_that_came_with_it(site):
    site.folder.joinpath("data").mkdir()
    site.folder.joinpath("data", FILE).write_text('{"lab/python:3": {}}')
    await site.start()
    missing = [
        site.spec("echo ran", image="lab/python:4", image_auto_pull=rule)
        for rule in ("none", "tag", "none", "digest")
    ]
    for spec in missing:  # one after the other, as a setting changes; the daemon stays the same
        await site.want(spec)
        end = await site.until_ended(spec.kernel_id)
        assert (end.phase, end.reason, end.exit_code) == ("failed", "image-not-available", None)
        assert "'lab/python:4' is not on this node" in end.detail
        assert f"image_auto_pull is '{spec.image_auto_pull}'" in end.detail
        assert ("nothing is fetched" in end.detail) is (spec.image_auto_pull == "none")
        assert ("images.json" in end.detail) is (spec.image_auto_pull != "none")
        assert (await site.log(spec.kernel_id)).data == b""
    there = [
        site.spec("echo ran", image="lab/python:3", image_auto_pull=rule, image_digest="sha256:x")
        for rule in ("none", "tag", "digest")
    ]
    await site.want(*there)
    for spec in there:
        assert (await site.until_ended(spec.kernel_id)).exit_code == 0
