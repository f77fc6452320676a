"""People and what happens to them, as events; and the read model that a story comes to."""

import random
from datetime import UTC, datetime, timedelta

from services.gateway.auth.principals import Principal
from services.gateway.http.parameters import ListQuery, SortKey
from services.gateway.projections.users import UsersProjection
from services.gateway.reads.models import ReadModels
from services.gateway.reads.past import Past
from services.gateway.reads.users import KEYPAIRS, USERS
from shared.contracts.base import Actor, Meta
from shared.contracts.users import (
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairRateLimitSet,
    LoginStarted,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserMainKeypairSwitched,
    UserProfileChanged,
    UserRoleChanged,
)
from shared.eventlog.records import Recorded
from shared.projections.generations import Generations
from shared.projections.projection import Tables
from shared.security.persons import PersonKey, seal_text

START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Principal(user_id="root", role="superadmin", domain="default", method="token")
PEOPLE = ("u1", "u2", "u3")


class Keys:
    """The keys of persons, as the users service would give them."""

    def __init__(self):
        self.kept = {user_id: PersonKey.generate(user_id) for user_id in (*PEOPLE, ROOT.user_id)}

    async def get(self, user_ids):
        return {user_id: self.kept[user_id] for user_id in user_ids}

    def forget(self, user_id):
        """Nothing is remembered here."""

    def text(self, user_id, field, text):
        return seal_text(self.kept[user_id], field, text)


class Story:
    """Events of users in the order of a log, some of them at the same moment."""

    def __init__(self, seed, keys):
        self.random = random.Random(seed)
        self.keys = keys
        self.at = START
        self.recorded = []

    def add(self, *events):
        """Append events that are recorded together."""
        self.at += timedelta(seconds=self.random.randint(1, 5))
        for event in events:
            number = len(self.recorded) + 1
            stream = f"{event.AGGREGATE}-{event.key()}"
            self.recorded.append(
                Recorded(
                    position=number,
                    stream=stream,
                    version=1 + sum(item.stream == stream for item in self.recorded),
                    type=type(event).__name__,
                    schema_version=1,
                    event=event,
                    meta=Meta(actor=Actor("user", "root"), correlation_id="c"),
                    event_id=str(number),
                    recorded_at=self.at,
                )
            )

    def create(self, user_id):
        sealed = {
            field: self.keys.text(user_id, field, f"{field} of {user_id}")
            for field in ("email", "username", "full_name", "description")
        }
        self.add(
            UserCreated(
                user_id=user_id,
                domain="default",
                role="user",
                status="active",
                resource_policy="default",
                **sealed,
            ),
            self.issued(user_id, f"{user_id}-main", is_main=True),
            ProjectMemberAdded(project_id="p0", user_id=user_id),
        )

    def issued(self, user_id, access_key, *, is_main=False):
        return KeypairIssued(
            access_key=access_key,
            user_id=user_id,
            is_main=is_main,
            status="active",
            resource_policy="default",
            rate_limit=100,
        )

    def change(self, user_id):
        """Append something that changes a user or one of the user's keypairs."""
        number = len(self.recorded)
        main = {"access_key": f"{user_id}-main", "user_id": user_id}
        name = self.keys.text(user_id, "full_name", f"name {number}")
        choices = (
            (UserProfileChanged(user_id=user_id, full_name=name),),
            (UserDeactivated(user_id=user_id),),
            (UserActivated(user_id=user_id), UserRoleChanged(user_id=user_id, role="admin")),
            (ProjectMemberAdded(project_id=f"p{number}", user_id=user_id),),
            (ProjectMemberRemoved(project_id="p0", user_id=user_id),),
            (KeypairDeactivated(**main),),
            (KeypairActivated(**main),),
            (KeypairRateLimitSet(**main, rate_limit=number),),
            (
                LoginStarted(
                    login_id=f"l{number}", user_id=user_id, token_hash="h", expires_at=self.at
                ),
            ),
        )
        self.add(*self.random.choice(choices))

    def told(self, steps):
        """Tell of three people, who have one keypair more for a while."""
        for user_id in PEOPLE:
            self.create(user_id)
            self.change(user_id)
        for step in range(steps):
            self.change(self.random.choice(PEOPLE))
            other = {"access_key": "other", "user_id": "u1"}
            if step == steps // 3:
                self.add(self.issued("u1", "other"))
                switched = {"user_id": "u1", "access_key": "other", "previous": "u1-main"}
                self.add(UserMainKeypairSwitched(**switched))
            if step == steps // 2:
                back = {"user_id": "u1", "access_key": "u1-main", "previous": "other"}
                self.add(UserMainKeypairSwitched(**back), KeypairDeactivated(**other))
                self.add(KeypairDeleted(**other))
        return self


class Shown:
    """The read model of a story, applied in batches."""

    tables = Tables(UsersProjection.tables, 1)

    def __init__(self, pool, keys):
        self.pool = pool
        self.keys = keys
        self.projection = UsersProjection(keys)
        self.reads = ReadModels(pool, self)
        past = Past(pool)
        self.reads.decorate_past(USERS, past.users)
        self.reads.decorate_past(KEYPAIRS, past.keypairs)
        self.moved = 0

    def position(self, _source):
        self.moved += 1
        return self.moved  # nothing is remembered

    async def create(self):
        await Generations(self.projection).prepare(self.pool)

    async def apply(self, batches):
        for batch in batches:
            async with self.pool.acquire() as tx, tx.transaction():
                await self.projection.apply(tx, self.tables, "users", batch)

    async def at(self, resource, moment, **asked):
        query = ListQuery(limit=500, sort=(SortKey("created_at", descending=False),), **asked)
        page = await self.reads.page(resource, ROOT, query._replace(at=moment))
        return {item["id"]: item for item in page.documents()}
