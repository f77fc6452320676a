"""What a node makes of a desired kernel before it runs it."""

import msgspec
import pytest

from services.agents.node.jobs import MINIMUM, make_job
from services.agents.node.runtime import KernelJob, StartRefusedError
from shared.contracts.kernels import KernelSpec

SPEC = KernelSpec(
    session_id="s-1",
    kernel_id="k-1",
    attempt=2,
    epoch=1,
    goal="running",
    session_type="batch",
    session_name="train",
    image="local/host:latest",
    hostname="main1",
    command=("echo", "hi"),
    environ=None,
    resources={"cpu": 1500, "mem": 2**31, "cuda.device": 1000},
    devices={"cuda.device": {"GPU-b": 1000, "GPU-a": 1000}},
)


def job(**fields: object) -> KernelJob:
    return make_job(
        msgspec.structs.replace(SPEC, **fields),
        7,
        100,
        lambda kernel_id, sealed: {"FOR": kernel_id, "SEALED": sealed, "QM_SESSION_ID": "forged"},
        lambda device: (f"/dev/{device}", "/dev/shared"),
    )


def test_limits_come_from_the_request():
    limits = job().limits
    assert (limits.cpu_millis, limits.memory_bytes, limits.pids) == (1500, 2**31, 100)


def test_a_request_without_amounts_gets_the_least_that_is_enforced():
    limits = job(resources={}).limits
    assert (limits.cpu_millis, limits.memory_bytes) == (MINIMUM["cpu"], MINIMUM["mem"])


def test_shared_memory_is_as_large_as_the_session_asked_for():
    assert job().shared_memory_bytes is None
    assert job(shared_memory=2**26).shared_memory_bytes == 2**26


def test_a_sessions_own_variables_cannot_forge_what_the_node_says():
    environ = job(environ="sealed").environ
    assert environ["FOR"] == "k-1"
    assert environ["SEALED"] == "sealed"
    assert environ["QM_SESSION_ID"] == "s-1"
    assert environ["QM_SESSION_NAME"] == "train"
    assert environ["QM_KERNEL_ID"] == "k-1"


def test_a_kernel_sees_exactly_the_devices_that_it_was_given():
    made = job()
    assert made.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert made.device_nodes == ("/dev/GPU-a", "/dev/shared", "/dev/GPU-b")
    none = job(devices={})
    assert none.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert none.environ["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert none.device_nodes == ()


def test_a_batch_session_needs_a_command():
    with pytest.raises(StartRefusedError, match="needs a command"):
        job(command=None)


def test_the_other_kernels_of_a_batch_session_wait_for_the_main_one():
    assert job(command=None, hostname="sub1").argv == ("sleep", "infinity")


def test_an_interactive_session_without_a_command_stays_until_it_is_ended():
    assert job(session_type="interactive", command=None).argv == ("sleep", "infinity")
    assert job(session_type="interactive", command=("jupyter",)).argv == ("jupyter",)
