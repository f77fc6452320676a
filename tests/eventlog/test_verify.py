"""Whatever is done to the log behind its back is found, and where it begins."""

from collections.abc import Sequence

import asyncpg
import pytest

from shared.eventlog.log import EventLog
from tests.eventlog.conftest import append

EVENTS = 12


async def test_an_untouched_log_is_intact_and_its_head_stands_for_it(log: EventLog):
    assert (await log.verify()).is_intact
    await append(log, "a", 5)
    before = await log.verify()
    await append(log, "b", 5)
    after = await log.verify()
    assert (before.is_intact, before.events, before.head) == (True, 5, 5)
    assert (after.is_intact, after.events, after.head) == (True, 10, 10)
    assert before.head_hash != after.head_hash


async def test_a_log_longer_than_one_batch_is_walked_to_its_end(log: EventLog):
    await append(log, "a", 2500)
    report = await log.verify()
    assert (report.is_intact, report.events) == (True, 2500)


@pytest.mark.parametrize(
    ("change", "found_at"),
    [
        ("update events set data = replace(data::text, '5', '6')::json where position = 6", 6),
        ("update events set data = (data::text || ' ')::json where position = 6", 6),
        ("update events set meta = replace(meta::text, 'c-1', 'c-2')::json where position = 6", 6),
        ("update events set type = 'ProjectCreated' where position = 6", 6),
        ("update events set stream = 'domain-x', version = 1 where position = 6", 6),
        ("update events set schema_version = 2 where position = 6", 6),
        ("update events set event_id = gen_random_uuid() where position = 6", 6),
        ("update events set recorded_at = recorded_at - interval '1 us' where position = 6", 6),
        ("update events set hash = sha256('x') where position = 6", 6),
        ("delete from events where position = 6", 6),
        ("delete from events where position >= 10", 10),
        ("delete from events where position <= 3", 1),
        ("delete from events", 1),
        ("update log_head set hash = sha256('x')", EVENTS),
    ],
)
async def test_a_change_is_found_where_it_was_made(
    log: EventLog, admin: asyncpg.Connection, change: str, found_at: int
):
    await append(log, "a", EVENTS)
    await admin.execute(change)
    report = await log.verify()
    assert report.damage is not None
    assert report.damage.position == found_at


@pytest.mark.parametrize(
    "changes",
    [
        # two events change places
        (
            "update events set position = 1000 where position = 4",
            "update events set position = 4 where position = 7",
            "update events set position = 7 where position = 1000",
        ),
        # one is cut out and the rest moves up
        (
            "delete from events where position = 4",
            "update events set position = position + 1000 where position > 4",
            "update events set position = position - 1001 where position > 1000",
            "update log_head set position = position - 1",
        ),
        # one is put in between
        (
            (
                "update events set position = position + 1000, version = version + 1000"
                " where position >= 4"
            ),
            (
                "insert into events select 4, stream, 4, type, schema_version, data, meta,"
                " event_id, recorded_at, hash from events where position = 3"
            ),
            (
                "update events set position = position - 999, version = version - 999"
                " where position > 1000"
            ),
            "update log_head set position = position + 1",
        ),
    ],
    ids=["reordered", "cut out", "put in"],
)
async def test_a_log_with_its_positions_mended_is_still_found_out(
    log: EventLog, admin: asyncpg.Connection, changes: Sequence[str]
):
    await append(log, "a", EVENTS)
    async with admin.transaction():
        for change in changes:
            await admin.execute(change)
    report = await log.verify()
    assert report.damage is not None
    assert report.damage.position == 4


async def test_a_tail_cut_off_with_its_head_mended_shows_in_the_head_hash(
    log: EventLog, admin: asyncpg.Connection
):
    """The chain alone cannot know of a shorter past; a noted head hash, or the stream, can."""
    await append(log, "a", EVENTS)
    noted = await log.verify()
    await admin.execute("delete from events where position > 10")
    await admin.execute(
        "update log_head set position = 10, hash = (select hash from events where position = 10)"
    )
    report = await log.verify()
    assert report.is_intact
    assert (report.head, report.head_hash) != (noted.head, noted.head_hash)
