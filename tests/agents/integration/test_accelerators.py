"""GPUs through the real NVML binding, on a driver library that is compiled here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agents.integration.site import open_site

STUB = Path(__file__).with_name("nvml_stub.c")
ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, sys
from services.agents.node.devices.nvidia import NvidiaDevices
import msgspec
devices = NvidiaDevices(sys.argv[1])
devices.open()
print(json.dumps({
    "devices": msgspec.to_builtins(devices.devices),
    "load": msgspec.to_builtins(devices.load({"GPU-1": 250})),
    "nodes": devices.nodes("GPU-0"),
}))
devices.close()
"""


@pytest.fixture(scope="session")
def driver(tmp_path_factory) -> Path:
    """Give the folder of a driver library with two devices."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libnvidia-ml.so.1"
    compiler = ["gcc", "-shared", "-fPIC", "-nostdlib"]
    subprocess.run([*compiler, "-o", library, STUB], check=True)
    return folder


def ask(mode: str, driver: Path | None) -> dict:
    environ = {**os.environ, "LD_LIBRARY_PATH": str(driver)} if driver else dict(os.environ)
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def test_whole_devices_are_found_with_what_they_are(driver):
    found = ask("devices", driver)["devices"]
    assert [(one["device_id"], one["slot"], one["amount"]) for one in found] == [
        ("GPU-0", "cuda.device", 1000),
        ("GPU-1", "cuda.device", 1000),
    ]
    assert found[0]["model"] == "Test GPU"
    assert found[0]["memory_bytes"] == 1000 << 20


def test_shares_of_devices_are_offered_where_the_node_is_set_so(driver):
    assert {one["slot"] for one in ask("shares", driver)["devices"]} == {"cuda.shares"}


def test_the_load_tells_what_is_left_and_leaves_out_what_a_device_cannot_say(driver):
    first, second = ask("shares", driver)["load"]
    assert (first["remaining"], second["remaining"]) == (1000, 750)
    assert first["utilisation_percent"] == 40
    assert second["memory_used_bytes"] == 101 << 20
    assert first["temperature_c"] == 60
    assert first["power_w"] == 75.5
    assert second["power_w"] is None


def test_a_machine_without_a_driver_has_no_devices_and_no_error():
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a driver")
    assert ask("devices", None) == {"devices": [], "load": [], "nodes": []}


async def test_a_node_offers_its_devices_and_a_kernel_sees_only_its_own(
    driver, nats_server, tmp_path
):
    async with open_site(nats_server.url, tmp_path, LD_LIBRARY_PATH=str(driver)) as site:
        await site.start()
        profile = (await site.until(lambda: site.beats))[0].profile
        assert profile.available_slots["cuda.device"] == 2000
        given = site.spec(
            "echo $CUDA_VISIBLE_DEVICES; sleep 1000", devices={"cuda.device": {"GPU-1": 1000}}
        )
        await site.want(given)
        await site.until_phase(given.kernel_id, "running")
        assert (await site.log(given.kernel_id, wait_s=10)).data == b"GPU-1\n"
        await site.until(
            lambda: [one.remaining for one in site.beats[-1].load.devices] == [1000, 0]
        )
        await site.stop_kernel(given, forced=True)
        await site.until_ended(given.kernel_id)
        await site.until(
            lambda: [one.remaining for one in site.beats[-1].load.devices] == [1000, 1000]
        )
