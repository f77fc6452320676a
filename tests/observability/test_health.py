"""Health is that of the worst check."""

import asyncio

from shared.observability import health as module
from shared.observability.health import Check, Health


async def test_a_service_without_checks_is_ok() -> None:
    report = await Health("users", "0.1.0").report()
    assert (report.status, report.is_ready, report.checks) == ("ok", True, {})


async def test_the_worst_check_decides() -> None:
    health = Health("users")
    health.add("a", lambda: Check(state="ok"))
    health.add("b", lambda: Check(state="degraded", detail="stale"))
    assert (await health.report()).status == "degraded"
    assert (await health.report()).is_ready
    health.add("c", lambda: Check(state="failed"))
    assert not (await health.report()).is_ready
    health.add("c", lambda: Check(state="ok"))
    assert (await health.report()).status == "degraded"


async def test_a_check_that_raises_has_failed_and_shows_only_its_type() -> None:
    async def check() -> Check:
        raise ConnectionError("password=abc")

    health = Health("users")
    health.add("database", check)
    report = await health.report()
    assert report.checks["database"] == Check(state="failed", detail="ConnectionError")


async def test_a_check_that_does_not_answer_has_failed_and_delays_no_other(
    monkeypatch: "object",
) -> None:
    original = module.CHECK_TIMEOUT_S
    module.CHECK_TIMEOUT_S = 0.01  # type: ignore[misc]

    async def check() -> Check:
        await asyncio.Event().wait()
        raise AssertionError

    health = Health("users")
    health.add("stuck", check)
    health.add("fine", lambda: Check(state="ok"))
    report = await health.report()
    module.CHECK_TIMEOUT_S = original  # type: ignore[misc]
    assert report.checks["fine"].state == "ok"
    assert "did not answer" in report.checks["stuck"].detail
