"""How policies and presets were at a moment: the fold of the events, also of what came again."""

import random
from datetime import timedelta

import msgspec
import pytest
import pytest_asyncio

from services.gateway.http.parameters import ListQuery, SortKey
from services.gateway.projections.policies import PoliciesProjection
from services.gateway.projections.policies_fold import Batch, fold
from services.gateway.reads.models import ReadModels
from services.gateway.reads.policies import PRESETS, USER_POLICIES
from services.gateway.reads.settings import setting_values
from shared.contracts.base import Actor, Meta
from shared.contracts.policies import (
    SETTINGS,
    PresetChanged,
    PresetDefined,
    PresetDeleted,
    SettingChanged,
    SettingReset,
    UserPolicyChanged,
    UserPolicyCreated,
    UserPolicyDeleted,
)
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Recorded
from shared.projections.generations import Generations
from shared.projections.projection import Tables
from tests.gateway.integration.stories import ROOT, START

NAMES = ("a", "b")


class Story:
    """Policies and presets that come, change, go and come again, some at the same moment."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.at = START
        self.there = set()
        self.recorded = []

    def add(self, event):
        number = len(self.recorded) + 1
        self.at += timedelta(seconds=self.random.choice((0, 0, 1, 5)))
        self.recorded.append(
            Recorded(
                position=number,
                stream=f"{event.AGGREGATE}-{event.key()}",
                version=number,
                type=type(event).__name__,
                schema_version=1,
                event=event,
                meta=Meta(actor=Actor("user", "root"), correlation_id="c"),
                event_id=str(number),
                recorded_at=self.at,
            )
        )

    def step(self):
        chosen = self.random
        kind, name, number = chosen.choice("up"), chosen.choice(NAMES), chosen.randint(0, 3)
        slots = {"cpu": 1000 * (number + 1)}
        if chosen.random() < 0.1:
            value = chosen.choice((None, 1500, 9000))
            self.add(SettingChanged(setting="overlay_mtu", value=value))
        elif (kind, name) not in self.there:
            self.there.add((kind, name))
            self.add(
                UserPolicyCreated(name=name, max_folder_count=number)
                if kind == "u"
                else PresetDefined(preset_id=name, name=name, resource_slots=slots)
            )
        elif chosen.random() < 0.4:
            self.there.remove((kind, name))
            self.add(UserPolicyDeleted(name=name) if kind == "u" else PresetDeleted(preset_id=name))
        else:
            self.add(
                UserPolicyChanged(name=name, max_folder_count=number)
                if kind == "u"
                else PresetChanged(preset_id=name, resource_slots=slots)
            )

    def told(self, steps):
        for _ in range(steps):
            self.step()
        return self


class Shown:
    """The read model of a story."""

    tables = Tables(PoliciesProjection.tables, 1)

    def __init__(self, pool):
        self.pool = pool
        self.reads = ReadModels(pool, self)
        self.moved = 0

    def position(self, _source):
        self.moved += 1
        return self.moved  # nothing is remembered

    async def apply(self, batches):
        projection = PoliciesProjection()
        for batch in batches:
            async with self.pool.acquire() as tx, tx.transaction():
                await projection.apply(tx, self.tables, "policies", batch)

    async def at(self, resource, moment):
        query = ListQuery(limit=500, sort=(SortKey("name", descending=False),), at=moment)
        page = await self.reads.page(resource, ROOT, query)
        return {item["id"]: item for item in page.documents()}


@pytest_asyncio.fixture(loop_scope="session")
async def shown(postgres):
    pool = await open_pool(await postgres.database("gateway"), name="versions")
    await Generations(PoliciesProjection()).prepare(pool)
    yield Shown(pool)
    pool.terminate()


def cut(recorded, chosen):
    left = list(recorded)
    while left:
        size = chosen.choice((1, 2, 5, 20))
        yield left[:size]
        left = left[size:]


def folded(recorded, moment):
    batch = Batch()
    for item in recorded:
        if item.recorded_at <= moment:
            fold(batch, item)
    return msgspec.to_builtins(batch.user_policies), msgspec.to_builtins(batch.presets)


@pytest.mark.parametrize("seed", range(6))
async def test_every_moment_shows_the_fold_of_the_events_up_to_it(shown, seed):
    story = Story(seed).told(60)
    await shown.apply(cut(story.recorded, random.Random(seed)))
    moments = {item.recorded_at for item in story.recorded}
    around = {moment + timedelta(microseconds=step) for moment in moments for step in (-1, 0)}
    for moment in sorted(around):
        policies, presets = folded(story.recorded, moment)
        assert await shown.at(USER_POLICIES, moment) == policies, moment
        assert await shown.at(PRESETS, moment) == presets, moment
    policies, presets = folded(story.recorded, story.at)
    assert await shown.at(USER_POLICIES, None) == policies
    assert await shown.at(PRESETS, None) == presets


async def test_settings_are_what_was_said_last_and_their_defaults_otherwise(shown):
    story = Story(0)
    story.add(SettingChanged(setting="overlay_mtu", value=None))
    story.add(SettingChanged(setting="announcement", value="soon"))
    await shown.apply([story.recorded])
    defaults = {key: setting.default for key, setting in SETTINGS.items()}
    told = {"overlay_mtu": None, "announcement": "soon"}
    assert await setting_values(shown.reads) == {**defaults, **told}
    story.add(SettingReset(setting="announcement"))
    await shown.apply([story.recorded[2:]])
    assert await setting_values(shown.reads) == {**defaults, "overlay_mtu": None}
