"""Any number of users, as the read model holds them."""

import random
from datetime import UTC, datetime, timedelta

import asyncpg

from services.gateway.documents.users import UserDocument
from services.gateway.projections.people import USERS
from services.gateway.projections.users import UsersProjection
from services.gateway.projections.versions import Versions
from shared.projections.projection import Tables

BATCH = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = ("ada", "bea", "carl", "dora", "emil", "fritz", "gina", "hans", "ida", "jan")
LAST = ("smith", "kim", "lee", "park", "meyer", "jones", "rossi", "novak", "silva", "ito")
SELDOM = "quirke"  # one in a hundred is called so


def person(number):
    chosen = random.Random(number)
    first, last = chosen.choice(FIRST), chosen.choice(LAST)
    if number % 100 == 0:
        last = SELDOM
    at = START + timedelta(seconds=number)
    return UserDocument(
        id=f"{number:032x}",
        email=f"{first}.{last}.{number}@example.org",
        username=f"{first}{number}",
        full_name=f"{first.title()} {last.title()}",
        description=f"{first} works on {last}",
        domain=chosen.choice(("default", "lab", "campus")),
        role="admin" if number % 50 == 0 else "user",
        status="inactive" if number % 10 == 0 else "active",
        resource_policy="default",
        main_access_key=f"AKIA{number:016d}",
        last_login_at=at + timedelta(days=number % 30),
        created_at=at,
        modified_at=at,
    )


async def fill(url, size):
    """Put people into a read model as its projection does."""
    database = await asyncpg.connect(url)
    generation = await database.fetchval(
        "select max(generation) from projection_generations where projection = 'users'"
    )
    tables = Tables(UsersProjection.tables, generation)
    names = [tables(name) for name in ("users", "user_versions", "user_counts")]
    for first in range(0, size, BATCH):
        people = {user.id: user for user in map(person, range(first, first + BATCH))}
        versions = Versions(USERS, {})
        versions.note(people, people, START)
        await versions.save(database, *names, people)
    await database.execute(f"vacuum analyze {names[0]}")
    await database.close()
