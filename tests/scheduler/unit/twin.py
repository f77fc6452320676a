"""Placement as one would write it without caring for speed: the oracle of the fast one."""

from services.scheduler.placement.devices import allocate
from services.scheduler.placement.model import slot_rank


class Twin:
    """Agents, holdings and a queue; every pass asks every agent for every session."""

    def __init__(self, options) -> None:
        self.options = options
        self.agents = {}
        self.holdings = {}  # kernel id -> (agent id, slots, devices)
        self.queue = {}  # session id -> [Waiting, tries, overtaken]

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
            and all(agent.capacity.get(name, 0) > 0 for name, _ in shape.slots)
        )

    def devices_for(self, agent, shape, kernels):
        known = {device.slot for device in agent.devices}
        used = self.devices_used(agent)
        chosen = []
        for _ in range(kernels):
            shares = {}
            for name, amount in shape.slots:
                if name in known:
                    parts = allocate(name, amount, agent.devices, used)
                    if parts is None:
                        return None
                    shares[name] = parts
                    for device_id, part in parts.items():
                        used[device_id] = used.get(device_id, 0) + part
            chosen.append(shares)
        return chosen

    def preference(self, agent, shape):
        left = self.left(agent)
        slots = sorted(
            {name for agent in self.agents.values() for name in agent.capacity}, key=slot_rank
        )
        unused = {name for name, amount in agent.capacity.items() if amount > 0} - {
            name for name, _ in shape.slots
        }
        sign = 1 if self.options.strategy == "concentrated" else -1
        return (len(unused), [sign * left.get(name, 0) for name in slots], agent.agent_id)

    def place(self, session):
        shape = session.shape
        each = len(session.kernel_ids) // shape.nodes()
        before = dict(self.holdings)
        places = []
        for node in range(shape.nodes()):
            kernel_ids = session.kernel_ids[node * each : (node + 1) * each]
            candidates = []
            for agent in self.usable():
                left = self.left(agent)
                if (
                    self.offers(agent, shape)
                    and all(amount <= left[name] for name, amount in shape.per_node())
                    and self.devices_for(agent, shape, each) is not None
                ):
                    candidates.append(agent)
            if not candidates:
                self.holdings = before
                return None
            agent = min(candidates, key=lambda agent: self.preference(agent, shape))
            devices = self.devices_for(agent, shape, each)
            for kernel_id, shares in zip(kernel_ids, devices, strict=True):
                self.holdings[kernel_id] = (agent.agent_id, shape.slots, shares)
                places.append((kernel_id, agent.agent_id, shares))
        return tuple(places)

    def run(self, limit):
        if not self.options.is_active or not self.usable():
            return []
        retries_to_skip = self.options.retries_to_skip
        placed, failed = [], []
        order = sorted(self.queue.values(), key=lambda item: (-item[0].priority, item[0].turn))
        for item in order:
            session, _tries, overtaken = item
            places = self.place(session)
            if places is not None:
                placed.append((session.session_id, places))
                del self.queue[session.session_id]
                if len(placed) == limit:
                    # cut short: no tries are counted
                    for waiting in failed:
                        waiting[2] = waiting[2] or not self.can_help(waiting[0].shape)
                    return placed
                continue
            failed.append(item)
            if overtaken or not self.can_help(session.shape):
                continue
            break
        for item in failed:
            item[1] += 1
            item[2] = (
                item[2] or not self.can_help(item[0].shape) or (0 < retries_to_skip <= item[1])
            )
        return placed

    def can_help(self, shape):
        return any(self.offers(agent, shape) for agent in self.usable())
