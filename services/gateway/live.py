"""The live hub: tells open pages that something changed, so that they fetch or swap it.

Topics are `<kind>` or `<kind>:<id>`: `sessions`, `session:<id>`, `stats:<session>` (measured
anew), `queue:<group>`, `agents`, `agent:<id>`, `users`, `user:<id>`, `keypairs`, `logins`,
`domains`, `projects`, `resource_groups`, `images`, `policies`, `settings`, `system`.
A message is an SSE event named by its topic; its data is JSON `{"topic", "ids"}` and its id is
`<service>:<position>`. A page that reconnects renders itself anew, so nothing is replayed and a
connection that is too slow loses nothing but the time until it does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import msgspec

from shared.kernel.clock import Clock
from shared.observability.metrics import gauge

HEARTBEAT_S: Final = 15.0
INTERVAL_S: Final = 0.25
TOPICS_MAX: Final = 50
IDS_MAX: Final = 200
CONNECTIONS_MAX: Final = 2_000
CONNECTIONS_PER_USER_MAX: Final = 32
_open = gauge("live_connections", "Open event streams.")


class Change(NamedTuple):
    """Something changed. `ids` names what, as far as they fit; `mark` is `<service>:<position>`."""

    topic: str
    ids: tuple[str, ...]
    mark: str | None


MaySee = Callable[[str, str | None], bool]


class Subscription:
    """One open stream: what changed since it was last written, by topic, bounded by its topics.

    `may_see` decides by topic and owner whether this caller may learn of a change.
    """

    def __init__(
        self, user_id: str, topics: frozenset[str], may_see: MaySee, credential: str | None = None
    ) -> None:
        self.user_id = user_id
        self.credential = credential
        self.topics = topics
        self.is_closed = False
        self._may_see = may_see
        self._changed: dict[str, dict[str, None]] = {}
        self._mark: str | None = None
        self._wake = asyncio.Event()

    def offer(self, topic: str, key: str | None, owner: str | None, mark: str | None) -> None:
        """Note a change of a topic that this stream follows, if it may see it."""
        if not self._may_see(topic, owner):
            return
        noted = self._changed.setdefault(topic, {})
        if key is not None and len(noted) < IDS_MAX:
            noted[key] = None
        self._mark = mark or self._mark
        self._wake.set()

    def close(self) -> None:
        """End the stream."""
        self.is_closed = True
        self._wake.set()

    async def next(self, timeout_s: float) -> list[Change]:
        """Return what changed, at once when something has; nothing after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return []
        self._wake.clear()
        changed, self._changed = self._changed, {}
        return [Change(topic, tuple(ids), self._mark) for topic, ids in changed.items()]


def _sees_everything(_topic: str, _owner: str | None) -> bool:
    return True


class LiveHub:
    """All open streams of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_topic: dict[str, set[Subscription]] = {}
        self._subscriptions: set[Subscription] = set()

    def subscribe(
        self,
        user_id: str,
        topics: frozenset[str],
        may_see: MaySee = _sees_everything,
        *,
        credential: str | None = None,
    ) -> Subscription | None:
        """Open a stream, which ends with its log-in or keypair; None when there are too many."""
        mine = sum(1 for item in self._subscriptions if item.user_id == user_id)
        if len(self._subscriptions) >= CONNECTIONS_MAX or mine >= CONNECTIONS_PER_USER_MAX:
            return None
        subscription = Subscription(user_id, topics, may_see, credential)
        self._subscriptions.add(subscription)
        for topic in topics:
            self._by_topic.setdefault(topic, set()).add(subscription)
        _open.set(len(self._subscriptions))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a stream."""
        self._subscriptions.discard(subscription)
        for topic in subscription.topics:
            followers = self._by_topic.get(topic)
            if followers is not None:
                followers.discard(subscription)
                if not followers:
                    del self._by_topic[topic]
        _open.set(len(self._subscriptions))

    def publish(
        self,
        topic: str,
        key: str | None = None,
        *,
        owner: str | None = None,
        mark: str | None = None,
    ) -> None:
        """Tell a change of `key` to whoever follows the topic; `mark` is `<service>:<position>`."""
        for subscription in self._by_topic.get(topic, ()):
            subscription.offer(topic, key, owner, mark)

    def end_credential(self, credential: str) -> None:
        """End the streams that were opened with a log-in or a keypair that is no longer good."""
        for subscription in tuple(self._subscriptions):
            if subscription.credential == credential:
                subscription.close()

    def end_user(self, user_id: str) -> None:
        """End a user's streams: what they may see, if anything, is decided anew."""
        for subscription in tuple(self._subscriptions):
            if subscription.user_id == user_id:
                subscription.close()

    def close(self) -> None:
        """End every stream, as the service stops."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    async def stream(self, subscription: Subscription) -> AsyncIterator[bytes]:
        """Yield server-sent events: at most 4 a second for each topic, a comment every 15 s."""
        quiet_since = self._clock.monotonic()
        yield b": open\n\n"
        try:
            while not subscription.is_closed:
                left_s = HEARTBEAT_S - (self._clock.monotonic() - quiet_since)
                changes = await subscription.next(max(0.05, left_s))
                if subscription.is_closed:
                    return
                yield b"".join(map(render, changes)) if changes else b": still here\n\n"
                quiet_since = self._clock.monotonic()
                if changes:
                    await asyncio.sleep(INTERVAL_S)  # coalesces what changes meanwhile
        finally:
            self.unsubscribe(subscription)


def render(change: Change) -> bytes:
    """Return one change as a server-sent event."""
    data = msgspec.json.encode({"topic": change.topic, "ids": change.ids}).decode()
    mark = f"id: {change.mark}\n" if change.mark else ""
    return f"{mark}event: {change.topic}\ndata: {data}\n\n".encode()
