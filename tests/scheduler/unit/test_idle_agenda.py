"""The timers of idle sessions against their obvious twin: look at everybody after every step."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.agenda import Agenda
from services.scheduler.domain.deadlines import overdue
from services.scheduler.domain.idleness import IdleRules, is_below
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.domain.session import evolve
from services.scheduler.idle_watch import STREAM_HOLDS_S
from shared.contracts.kernels import KernelUsage
from shared.contracts.scheduler import SessionTerminated
from tests.scheduler.unit.sessions import START, running
from tests.scheduler.unit.test_idleness import Twin

WINDOW_S = 60
GRACE_S = 5
WHICH = st.integers(0, 3)
STEP = st.one_of(
    st.tuples(st.just("start"), WHICH, st.sampled_from(["interactive", "batch", "inference"])),
    st.tuples(st.just("end"), WHICH, st.none()),
    st.tuples(st.just("use"), WHICH, st.integers(0, 1)),
    st.tuples(st.just("measure"), WHICH, st.sampled_from([0, 4, 30, None])),
    st.tuples(st.just("timeout"), st.integers(1, 2), st.sampled_from([None, 0, WINDOW_S])),
    st.tuples(st.just("network"), WHICH, st.sampled_from([None, 20, 90])),
    st.tuples(st.just("window"), WHICH, st.sampled_from([None, WINDOW_S])),
    st.tuples(st.just("time"), WHICH, st.integers(0, 40)),
    st.tuples(st.just("steady"), WHICH, st.sampled_from([0, 4, 30])),
)


class World:
    """Running sessions of two keypairs and of none, the agenda, and all that was ever told."""

    def __init__(self) -> None:
        self.sessions, self.began, self.used, self.told = {}, {}, {}, {}
        self.agenda = Agenda(self.sessions)
        self.rules = IdleRules(grace_s=GRACE_S, thresholds={"cpu": 5})
        self.timeouts = {}
        self.now = self.count = 0
        self.agenda.set_idle_rules(self.rules)

    def moment(self, seconds=0):
        return START + timedelta(seconds=self.now + seconds)

    def pick(self, which):
        ids = sorted(self.sessions)
        return ids[which % len(ids)] if ids else None

    def limit(self, key, usual):
        """Return a limit of a session by the settings and the policy."""
        own = self.timeouts.get(self.sessions[key].request.access_key)
        return None if usual is None else (usual if own is None else own) or None

    def window_s(self, key):
        kind = self.sessions[key].request.session_type
        return None if kind == "inference" else self.limit(key, self.rules.window_s)

    def start(self, which, kind):
        self.count += 1
        key = f"s{self.count:03}"
        access_key = f"AK{which}" if which in (1, 2) else None
        life = running(session_id=key, session_type=kind, access_key=access_key)
        self.sessions[key] = life.state
        self.began[key], self.used[key], self.told[key] = self.now, [], Twin(WINDOW_S)
        self.agenda.entered(life.state, self.moment())

    def measure(self, key, percent):
        usage = KernelUsage(
            session_id=key, kernel_id=f"{key}.0", at=self.moment(), cpu_percent=percent
        )
        self.agenda.measured(self.sessions[key], usage, self.moment())
        if self.window_s(key) is None or self.now < self.began[key] + GRACE_S:
            return
        samples = self.told[key].samples
        if not samples or samples[-1][1] != self.now * 1000:
            shares = {} if percent is None else {"cpu": percent * 100}
            samples.append(("k", self.now * 1000, shares))

    def close(self, key):
        over = SessionTerminated(
            session_id=key, reason="user-requested", result="undefined", exit_code=None
        )
        self.agenda.closed(evolve(self.sessions.pop(key), over))

    def configure(self, **changes):
        self.rules = self.rules._replace(**changes)
        self.agenda.set_idle_rules(self.rules)

    def step(self, kind, which, value):
        key = self.pick(which)
        match kind:
            case "start":
                self.start(which, value)
            case "timeout" | "network" | "window":
                self.change(kind, which, value)
            case "time":
                self.now += value
            case "steady":
                self.now += 10
                for one in list(self.sessions):
                    self.measure(one, value)
            case "end" if key:
                self.close(key)
            case "use" if key:
                session = self.sessions[key]
                self.agenda.idle.used(session, self.moment(), open_streams=value)
                self.used[key].append(self.now + STREAM_HOLDS_S * value)
            case "measure" if key:
                self.measure(key, value)

    def change(self, kind, which, value):
        match kind:
            case "timeout":
                self.timeouts[f"AK{which}"] = value
                self.agenda.set_idle_timeout(keypair_scope(f"AK{which}"), value)
            case "network":
                self.configure(network_timeout_s=value)
            case "window":
                self.configure(window_s=value)
                if value is None:
                    for twin in self.told.values():
                        twin.samples.clear()

    def why(self, key):
        """Return why a session is over now, and since when it is."""
        found = []
        if self.sessions[key].request.session_type == "interactive":
            limit_s = self.limit(key, self.rules.network_timeout_s)
            if limit_s is not None:
                at = max([self.began[key], *self.used[key]]) + limit_s
                found.append((at * 1000, "idle-timeout"))
        twin, now = self.told[key], self.now * 1000
        full = twin.full_at(["k"], now) if self.window_s(key) and twin.samples else None
        if full is not None:
            latest = twin.samples[-1][1]
            if is_below(self.rules, twin.means(latest)):
                found.append((max(full, latest), "idle-utilization"))
        at, reason = min(found, default=(now + 1, ""))
        return reason if at <= now else None

    def taken(self):
        found = {}
        while (due := self.agenda.take(self.moment())) is not None:
            (event,) = overdue(due.session, self.moment(), lambda _: True, due.reason)
            found[event.session_id] = event.reason
            self.close(event.session_id)
        return found


@settings(max_examples=400, deadline=None)
@given(st.lists(STEP, max_size=50))
def test_exactly_those_are_ended_that_are_idle_and_for_the_right_reason(steps):
    world = World()
    for step in steps:
        world.step(*step)
        expected = {key: why for key in world.sessions if (why := world.why(key))}
        assert world.taken() == expected
        next_at = world.agenda.next_at
        assert next_at is None or next_at > world.moment()


def test_a_session_that_does_nothing_is_ended_when_its_window_is_full_and_not_before():
    world = World()
    world.step("window", 0, WINDOW_S)
    world.step("start", 0, "batch")
    for _ in range(6):
        world.step("steady", 0, 4)
        assert world.taken() == {}
    world.step("time", 0, 9)
    assert world.taken() == {}
    world.step("time", 0, 1)
    assert world.taken() == {"s001": "idle-utilization"}
