"""What the traces of one (kernel, attempt) mean."""

from services.agents.node.runtime import Presence


def judge(*, keeper: bool, spawned: bool, started: bool, ended: bool) -> Presence:
    """Return what became of an attempt.

    `keeper`: a process holds its lock; `spawned`: a keeper that this daemon has launched lives,
    whether it has the lock yet or not; `started`, `ended`: its records exist. The keeper must be
    asked for before the records are read: once it is gone they do not change any more.
    """
    if ended:
        return "ended"
    if keeper or spawned:
        return "running" if started else "starting"
    return "lost" if started else "absent"
