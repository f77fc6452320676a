"""Under a storm of log-ins the service refuses in time, goes on answering, and collapses never."""

import asyncio

import httpx

from shared.contracts.base import Accepted, Rejected
from shared.contracts.users import GetPersonKeys
from shared.kernel.rejections import Rejection
from tests.users.integration.harness import Users

SLOW = {"QM_PASSWORD_MEMORY_KIB": "32768", "QM_PASSWORD_QUEUE": "4", "QM_PASSWORD_WORKERS": "1"}

TAKEN = 'qm_password_work_total{outcome="taken"}'


async def restart(users: Users, **changes: str) -> None:
    await users.service.stop()
    users.service.environ.update(changes)
    await users.service.start()


async def test_a_full_queue_answers_at_once_and_says_when_to_come_back(users: Users) -> None:
    await users.created("stormy")
    await restart(users, **SLOW)
    replies = await asyncio.gather(*(users.log_in("stormy@example.org") for _ in range(30)))
    busy = [reply.rejection for reply in replies if isinstance(reply, Rejected)]
    assert {(refusal.kind, refusal.code) for refusal in busy} == {("unavailable", "passwords_busy")}
    assert all((refusal.retry_after_s or 0) >= 1 for refusal in busy)
    assert sum(isinstance(reply, Accepted) for reply in replies) >= 5
    assert isinstance(await users.log_in("stormy@example.org"), Accepted)


async def test_peers_are_answered_while_passwords_are_checked(users: Users) -> None:
    made = await users.created("calm")
    await restart(users, **{**SLOW, "QM_PASSWORD_QUEUE": "64", "QM_PASSWORD_PASSES": "20"})
    storm = [asyncio.ensure_future(users.log_in("calm@example.org")) for _ in range(8)]
    await asyncio.sleep(0)
    answers = 0
    while not any(login.done() for login in storm):
        query = GetPersonKeys(user_ids=(made["user_id"],))
        assert not isinstance(await users.queries.ask(query, dict), Rejection)
        answers += 1
    assert answers > 1
    await asyncio.gather(*storm)


async def hashed(users: Users) -> float:
    """Return how many passwords the service has hashed or checked."""
    async with httpx.AsyncClient() as client:
        page = await client.get(f"http://127.0.0.1:{users.service.http_port}/metrics")
    (line,) = [line for line in page.text.splitlines() if line.startswith(TAKEN)]
    return float(line.removeprefix(TAKEN))


async def test_work_whose_caller_has_gone_is_dropped(users: Users) -> None:
    await users.created("hasty")
    await restart(users, **{**SLOW, "QM_PASSWORD_QUEUE": "64", "QM_PASSWORD_PASSES": "10"})
    assert isinstance(await users.log_in("hasty@example.org"), Accepted)
    before = await hashed(users)
    gone = (users.log_in("hasty@example.org", timeout_s=0.2) for _ in range(40))
    assert all(isinstance(reply, Rejected) for reply in (await asyncio.gather(*gone))[20:])
    assert isinstance(await users.log_in("hasty@example.org"), Accepted)
    assert await hashed(users) - before < 30
