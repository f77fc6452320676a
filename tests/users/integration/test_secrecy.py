"""No secret and no personal datum is in the log, in the stream, in the tables or in a log line."""

import msgspec
import nats

from shared.contracts.base import Accepted
from shared.contracts.users import ChangeUser
from shared.security.transport import seal_password
from tests.users.integration.harness import ADMIN, Ground, Users

PERSON = {
    "email": "Very.Private@hidden.example",
    "username": "veryprivatename",
    "full_name": "Veryprivate Person",
    "description": "A very private description",
}
PASSWORD = "Very-Private-1"
CHANGED = {
    "username": "otherprivatename",
    "full_name": "Otherprivate Person",
    "description": "Another private description",
}
NEW_PASSWORD = "Other-Private-2"


async def everything_written(users: Users, ground: Ground) -> str:
    tables = await users.database.fetch(
        "select table_name from information_schema.tables where table_schema = 'users'"
    )
    parts = []
    for (table,) in tables:
        rows = await users.database.fetch(f'select row_to_json(t)::text from "{table}" t')
        parts += [row[0] for row in rows]
    stream = ground.nats.jetstream()
    info = await stream.stream_info("EVENTS_users")
    for sequence in range(1, info.state.last_seq + 1):
        message = await stream.get_msg("EVENTS_users", sequence)
        parts += [message.subject or "", (message.data or b"").decode(), str(message.headers)]
    return "\n".join(parts)


async def test_nothing_shows_who_somebody_is_or_what_they_hold(
    users: Users, ground: Ground
) -> None:
    result = await users.created("private", password=PASSWORD, **PERSON)
    await users.create("private", password=PASSWORD, **PERSON)
    await users.create("private", password="short", **{**PERSON, "email": "not an email"})
    started = await users.log_in(PERSON["email"], PASSWORD)
    await users.log_in(PERSON["email"], PASSWORD + "wrong")
    change = ChangeUser(
        user_id=result["user_id"],
        sealed_password=seal_password(users.keyring, NEW_PASSWORD),
        **CHANGED,
    )
    for wish in (change, msgspec.structs.replace(change, projects=("absent",))):
        await users.send(wish)
    assert isinstance(await users.log_in(PERSON["email"], NEW_PASSWORD), Accepted)
    secrets = {
        *PERSON.values(),
        *CHANGED.values(),
        NEW_PASSWORD,
        *(text.lower() for text in PERSON.values()),
        PASSWORD,
        users.open_secret(result["access_key"], result["sealed_secret_key"]),
        users.open_token(started.result),  # type: ignore[union-attr]
        ADMIN["email"],
        ADMIN["password"],
        ADMIN["secret_key"],
        "$argon2",
    }
    written = await everything_written(users, ground)
    assert result["user_id"] in written, "the search must see the rows it is about"
    assert "user_changed" in users.service.output
    for place, text in (("written", written), ("logged", users.service.output)):
        shown = [secret for secret in secrets if secret in text]
        assert not shown, f"{place}: {shown}"


async def test_the_stream_holds_what_the_log_holds(users: Users, ground: Ground) -> None:
    assert isinstance(ground.nats, nats.aio.client.Client)
    stream = ground.nats.jetstream()
    rows = await users.database.fetch(
        "select position, data::text as data from events order by position"
    )
    for row in rows:
        message = await stream.get_msg("EVENTS_users", row["position"])
        assert (message.data or b"").decode() == row["data"]
