"""A log that is followed ends with the session, not with what a page knew too late."""

from services.gateway.logs import KernelLogs, Sight
from shared.contracts.kernels import KernelLogPiece


class Node:
    """Answers for the logs of kernels that have ended, each with what it wrote."""

    def __init__(self, **written):
        self.written = written

    async def ask(self, query, **_options):
        data = self.written[query.kernel_id][query.offset :]
        return KernelLogPiece(data=data, next_offset=query.offset + len(data), ended=True)


class Page:
    """What the read model says, one answer for each look; the last one stays."""

    def __init__(self, *sights):
        self.sights = list(sights)

    async def look(self):
        return self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]

    async def pause(self, _seconds):
        """Nothing has to be waited for."""


async def followed(node, page):
    return [piece async for piece in KernelLogs(node).follow(page.look, page.pause) if piece]


def kernel(kernel_id):
    return {"id": kernel_id, "agent_id": "n1"}


async def test_a_restart_that_the_page_has_not_heard_of_yet_does_not_end_the_log():
    running, gone = Sight(kernel("k1"), is_over=False), Sight(kernel("k2"), is_over=True)
    page = Page(running, running, running, running, gone)
    node = Node(k1=b"begun\n", k2=b"begun again\n")
    assert await followed(node, page) == [b"begun\n", b"begun again\n"]


async def test_the_log_ends_once_the_page_knows_that_nothing_more_will_come():
    page = Page(Sight(kernel("k1"), is_over=False), Sight(kernel("k1"), is_over=True))
    assert await followed(Node(k1=b"done\n"), page) == [b"done\n"]


async def test_the_log_of_a_session_that_is_deleted_meanwhile_ends():
    page = Page(Sight(kernel("k1"), is_over=False), None)
    assert await followed(Node(k1=b""), page) == []
