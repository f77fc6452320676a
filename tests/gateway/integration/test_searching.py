"""Searching and counting without reading everything comes to the same as reading everything."""

import random
from datetime import timedelta
from itertools import pairwise

import pytest
import pytest_asyncio

from services.gateway.auth.principals import Principal
from services.gateway.documents.users import UserDocument
from services.gateway.http.parameters import ListQuery, SortKey, encode_cursor, parse_list
from services.gateway.projections.people import USERS as USER_TABLE
from services.gateway.projections.versions import Versions
from services.gateway.reads.users import KEYPAIRS, USERS
from shared.eventlog.pool import open_pool
from tests.gateway.integration.stories import ROOT, START, Keys, Shown, Story

MANY = 400
NAMES = ("Ada", "Bea", "Ünal", "ODYSSEUS", "Οδυσσεύς", "İpek", "Straße", "%_\\", "김민수")
ADMIN = Principal(user_id="n3", role="admin", domain="lab", method="token")


@pytest_asyncio.fixture(loop_scope="session")
async def shown(postgres):
    pool = await open_pool(await postgres.database("gateway"), name="searching")
    made = Shown(pool, Keys())
    await made.create()
    yield made
    pool.terminate()


def person(number, chosen):
    name = chosen.choice(NAMES)
    return UserDocument(
        id=f"n{number}",
        email=f"{name.lower()}.{number}@example.org",
        username=f"{name}{number % 7}",
        full_name=f"{name} {chosen.choice(NAMES)}",
        description=chosen.choice(NAMES) * 3,
        domain=chosen.choice(("default", "lab")),
        role=chosen.choice(("user", "admin")),
        status=chosen.choice(("active", "inactive")),
        resource_policy="default",
        created_at=START + timedelta(seconds=number),
        modified_at=START,
    )


async def save(shown, people):
    versions = Versions(USER_TABLE, {})
    versions.note(people, people, START)
    names = (shown.tables(f"{name}") for name in ("users", "user_versions", "user_counts"))
    async with shown.pool.acquire() as tx, tx.transaction():
        await versions.save(tx, *names, people)


@pytest_asyncio.fixture(loop_scope="session")
async def people(shown):
    chosen = random.Random(4)
    made = {f"n{number}": person(number, chosen) for number in range(MANY)}
    await save(shown, made)
    return made


async def found(shown, query, principal=ROOT):
    asked = parse_list(USERS.spec, query)
    assert isinstance(asked, ListQuery), asked
    page = await shown.reads.page(USERS, principal, asked)
    return [item["id"] for item in page.documents()], page.total


@pytest.mark.parametrize("limit", [1, 20, 500])
@pytest.mark.parametrize("field", ["email", "username", "full_name", "description"])
async def test_a_piece_of_text_is_found_wherever_it_is(shown, people, field, limit):
    chosen = random.Random(field)
    for _ in range(25):
        text = getattr(chosen.choice(list(people.values())), field)
        start = chosen.randrange(len(text))
        piece = text[start : start + chosen.randint(1, 8)]
        asked = ListQuery(
            limit=limit,
            sort=(SortKey("created_at", descending=True),),
            filters=((field, (piece,)),),
        )
        page = await shown.reads.page(USERS, ROOT, asked)
        expected = await _all_holding(shown, field, piece)
        assert [item["id"] for item in page.documents()] == expected[:limit], piece
        assert page.total == len(expected)


async def _all_holding(shown, field, piece):
    """Return what Postgres finds by comparing every row."""
    sql = f"select id, {field} ilike $1 as holds from users order by created_at desc, id desc"
    escaped = piece.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return [row["id"] for row in await shown.pool.fetch(sql, f"%{escaped}%") if row["holds"]]


async def test_any_of_several_pieces_and_other_filters_hold_together(shown, people):
    ids, total = await found(shown, "full_name=ada&full_name=bea&status=active&limit=500")
    expected = {
        user.id
        for user in people.values()
        if user.status == "active" and any(name in user.full_name for name in ("Ada", "Bea"))
    }
    assert (set(ids), total) == (expected, len(expected))
    lab, count = await found(shown, "email=example&sort=-email&limit=10", ADMIN)
    own = sorted(
        (user for user in people.values() if user.domain == "lab"),
        key=lambda user: user.email.encode(),
    )
    assert count == len(own)
    assert len(lab) == 10


async def test_pages_of_a_search_follow_on_each_other(shown, people):
    sort = (SortKey("username", descending=False),)
    asked = ListQuery(limit=500, sort=sort, filters=(("full_name", ("ada",)),))
    whole = (await shown.reads.page(USERS, ROOT, asked)).documents()
    assert len(whole) > 20
    for before, after in pairwise(range(0, len(whole), 7)):
        last = whole[before - 1] if before else None
        cursor = encode_cursor(sort, (last["username"], last["id"])) if last else None
        query = "full_name=ada&sort=username&limit=7" + (f"&cursor={cursor}" if cursor else "")
        ids, total = await found(shown, query)
        assert ids == [item["id"] for item in whole[before:after]]
        assert total == len(whole)


async def test_counts_are_kept_as_people_come_go_and_change(shown):
    story = Story(6, shown.keys).told(40)
    chosen = random.Random(6)
    left = list(story.recorded)
    while left:
        size = chosen.choice((1, 2, 9))
        await shown.apply([left[:size]])
        left = left[size:]
        for resource, filters in (
            (USERS, ((), (("status", ("active",)),), (("role", ("admin", "user")),))),
            (KEYPAIRS, ((), (("is_main", (True,)),), (("status", ("inactive",)),))),
        ):
            for wanted in filters:
                asked = ListQuery(limit=1, filters=wanted, sort=(SortKey("id", descending=False),))
                everything = asked._replace(limit=500)
                page = await shown.reads.page(resource, ROOT, asked)
                whole = await shown.reads.page(resource, ROOT, everything)
                assert page.total == len(whole.items), (resource.noun, wanted)
