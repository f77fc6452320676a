"""Placement as one would write it without caring for speed: the oracle of the fast one."""

from fractions import Fraction

from services.scheduler.placement.devices import allocate
from services.scheduler.placement.model import slot_rank


class Twin:
    """Agents, holdings, limits and a queue; every pass asks every agent for every session."""

    def __init__(self, options) -> None:
        self.options = options
        self.agents = {}
        self.holdings = {}  # kernel id -> (agent id, slots, devices)
        self.queue = {}  # session id -> [Waiting, tries, overtaken]
        self.limits = {}  # scope -> (slots, default, max_sessions)
        self.charged = {}  # session id -> Waiting
        self.last = {}  # architecture -> agent id, for round robin

    # what is used and what is left

    def used(self, belongs):
        used = {}
        for session in self.charged.values():
            if belongs(session):
                for name, amount in session.shape.slots:
                    used[name] = used.get(name, 0) + amount * session.shape.kernels
        return used

    def over(self, session):
        for scope in session.scopes:
            slots, default, max_sessions = self.limits.get(scope, ({}, "unlimited", None))
            running = [other for other in self.charged.values() if scope in other.scopes]
            if max_sessions is not None and len(running) >= max_sessions:
                return True
            used = self.used(lambda other, scope=scope: scope in other.scopes)
            for name, amount in session.shape.slots:
                ceiling = slots.get(name, 0 if default == "limited" else None)
                wanted = used.get(name, 0) + amount * session.shape.kernels
                if ceiling is not None and wanted > ceiling:
                    return True
        return False

    def left(self, agent):
        left = dict(agent.capacity)
        for agent_id, slots, _ in self.holdings.values():
            if agent_id == agent.agent_id:
                for name, amount in slots:
                    if name in left:  # what the agent does not offer any more is not free
                        left[name] -= amount
        return left

    def devices_used(self, agent):
        used = {}
        for agent_id, _, devices in self.holdings.values():
            if agent_id == agent.agent_id:
                for parts in devices.values():
                    for device_id, part in parts.items():
                        used[device_id] = used.get(device_id, 0) + part
        return used

    # which agents will do

    def usable(self):
        return [
            agent
            for agent in self.agents.values()
            if agent.alive
            and agent.schedulable
            and not agent.gone
            and agent.group == self.options.name
        ]

    def offers(self, agent, shape):
        return (
            agent.architecture == shape.architecture
            and (agent.images is None or shape.image in agent.images)
            and (not shape.designated or agent.agent_id in shape.designated)
            and all(agent.capacity.get(name, 0) > 0 for name, _ in shape.slots)
        )

    def can_help(self, shape):
        return any(self.offers(agent, shape) for agent in self.usable())

    def has_room(self, agent, shape, kernels):
        held = sum(1 for agent_id, _, _ in self.holdings.values() if agent_id == agent.agent_id)
        most = self.options.max_containers
        left = self.left(agent)
        return (
            (most is None or held + kernels <= most)
            and all(amount <= left[name] for name, amount in shape.per_node())
            and self.devices_for(agent, shape, kernels) is not None
        )

    def devices_for(self, agent, shape, kernels):
        known = {device.slot for device in agent.devices}
        used = self.devices_used(agent)
        chosen = []
        for _ in range(kernels):
            shares = {}
            for name, amount in shape.slots:
                if name in known:
                    parts = allocate(
                        name,
                        amount,
                        agent.devices,
                        used,
                        allows_fragmentation=self.options.allows_fragmentation,
                    )
                    if parts is None:
                        return None
                    shares[name] = parts
                    for device_id, part in parts.items():
                        used[device_id] = used.get(device_id, 0) + part
            chosen.append(shares)
        return chosen

    def preference(self, agent, shape):
        left = self.left(agent)
        wanted = {name for name, _ in shape.slots}
        if self.options.strategy == "roundrobin":
            return (agent.agent_id <= self.last.get(shape.architecture, ""), agent.agent_id)
        if self.options.strategy == "legacy":
            asked = sorted(wanted, key=slot_rank)
            return ([-left.get(name, 0) for name in asked], agent.agent_id)
        slots = sorted(
            {name for agent in self.agents.values() for name in agent.capacity}, key=slot_rank
        )
        unused = {name for name, amount in agent.capacity.items() if amount > 0} - wanted
        sign = 1 if self.options.strategy == "concentrated" else -1
        return (len(unused), [sign * left.get(name, 0) for name in slots], agent.agent_id)

    def place(self, session):
        shape = session.shape
        each = len(session.kernel_ids) // shape.nodes()
        before, last_before = dict(self.holdings), dict(self.last)
        places = []
        for node in range(shape.nodes()):
            kernel_ids = session.kernel_ids[node * each : (node + 1) * each]
            candidates = [
                agent
                for agent in self.usable()
                if self.offers(agent, shape) and self.has_room(agent, shape, each)
            ]
            if not candidates:
                self.holdings, self.last = before, last_before
                return None
            agent = min(candidates, key=lambda agent: self.preference(agent, shape))
            self.last[shape.architecture] = agent.agent_id
            devices = self.devices_for(agent, shape, each)
            for kernel_id, shares in zip(kernel_ids, devices, strict=True):
                self.holdings[kernel_id] = (agent.agent_id, shape.slots, shares)
                places.append((kernel_id, agent.agent_id, shares))
        self.charged[session.session_id] = session
        return tuple(places)

    # who is next

    def share(self, used):
        shares = [Fraction(0)]
        for name in used:
            capacity = sum(agent.capacity.get(name, 0) for agent in self.usable())
            if capacity:
                shares.append(Fraction(used[name], capacity))
        return max(shares)

    def key(self, session):
        turn = -session.turn if self.options.scheduler == "lifo" else session.turn
        return (-session.priority, turn, session.session_id)

    def order(self):
        """Return the ids of all that wait, as they would be placed if there were room."""
        sessions = sorted((item[0] for item in self.queue.values()), key=self.key)
        if self.options.scheduler != "drf":
            return [session.session_id for session in sessions]
        used = {
            session.user: self.used(lambda other, user=session.user: other.user == user)
            for session in sessions
        }
        found = []
        while sessions:
            heads = {session.user: session for session in reversed(sessions)}.values()
            first = min(
                heads,
                key=lambda one: (-one.priority, self.share(used[one.user]), self.key(one)[1:]),
            )
            sessions.remove(first)
            found.append(first.session_id)
            for name, amount in first.shape.slots:
                mine = used[first.user]
                mine[name] = mine.get(name, 0) + amount * first.shape.kernels
        return found

    def run(self, limit):
        if not self.options.is_active or not self.usable():
            return []
        return self.run_shares(limit) if self.options.scheduler == "drf" else self.run_line(limit)

    def run_line(self, limit):
        retries = self.options.retries_to_skip if self.options.scheduler == "fifo" else 0
        placed, blocker = [], None
        for item in sorted(self.queue.values(), key=lambda item: self.key(item[0])):
            session, _tries, overtaken = item
            if self.over(session):
                continue
            places = self.place(session)
            if places is not None:
                placed.append((session.session_id, places))
                del self.queue[session.session_id]
                if len(placed) == limit:
                    return placed  # cut short: no tries are counted
            elif not self.can_help(session.shape):
                item[2] = True
            elif not overtaken:
                blocker = item
                break
        for item in self.queue.values():
            if item[2] and (blocker is None or item[0].priority >= blocker[0].priority):
                item[1] += 1
        if blocker is not None:
            blocker[1] += 1
            blocker[2] = 0 < retries <= blocker[1]
        return placed

    def run_shares(self, limit):
        placed, blocked = [], {}
        while True:
            heads = {}
            for item in sorted(self.queue.values(), key=lambda item: self.key(item[0])):
                session = item[0]
                if not self.over(session) and self.can_help(session.shape):
                    heads.setdefault(session.user, item)
            heads = [item for user, item in heads.items() if user not in blocked]
            if not heads:
                for item in blocked.values():
                    item[1] += 1
                return placed

            def claim(item):
                used = self.used(lambda other: other.user == item[0].user)
                return (-item[0].priority, self.share(used), self.key(item[0])[1:])

            item = min(heads, key=claim)
            places = self.place(item[0])
            if places is None:
                blocked[item[0].user] = item
                continue
            placed.append((item[0].session_id, places))
            del self.queue[item[0].session_id]
            if len(placed) == limit:
                return placed
