"""What a kernel has written, read piece by piece from the node that runs it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

from shared.contracts.kernels import KernelLogPiece, ReadKernelLog
from shared.contracts.subjects import node_log_subject
from shared.kernel.rejections import Rejection
from shared.messaging.queries import QueryClient
from shared.observability.logging import get_logger

log = get_logger(__name__)
PIECE_BYTES: Final = 262_144
WAIT_S: Final = 10.0
ANSWER_S: Final = 5.0
FAILURES_MAX: Final = 30
RESTART_S: Final = 1.0
TAIL_BYTES: Final = 65_536
TAIL_PIECES_MAX: Final = 16
TAIL_ANSWER_S: Final = 1.0

Kernel = dict[str, Any]


class Sight(NamedTuple):
    """How a kernel stands now. `is_over`: nothing more will be written, and no other follows it."""

    kernel: Kernel
    is_over: bool


Look = Callable[[], Awaitable[Sight | None]]
Pause = Callable[[float], Awaitable[None]]


class KernelLogs:
    """Asks nodes for logs."""

    def __init__(self, queries: QueryClient) -> None:
        self._queries = queries

    async def piece(
        self, kernel: Kernel, offset: int, *, wait_s: float = 0.0, answer_s: float = ANSWER_S
    ) -> KernelLogPiece | Rejection:
        """Return the log from `offset` on; waits up to `wait_s` for more to be written."""
        query = ReadKernelLog(
            kernel_id=kernel["id"], offset=offset, limit=PIECE_BYTES, wait_s=wait_s
        )
        return await self._queries.ask(
            query,
            type=KernelLogPiece,
            subject=node_log_subject(kernel["agent_id"]),
            timeout_s=wait_s + answer_s,
        )

    async def whole(self, kernel: Kernel, first: KernelLogPiece) -> AsyncIterator[bytes]:
        """Yield what has been written so far, beginning with a piece that was read already."""
        piece = first
        yield piece.data
        while piece.data and not piece.ended:
            answer = await self.piece(kernel, piece.next_offset)
            if isinstance(answer, Rejection):
                log.info("log_cut_short", kernel_id=kernel["id"], code=answer.code)
                return
            piece = answer
            yield piece.data

    async def tail(self, session: dict[str, Any]) -> str:
        """Return the end of what a session's main kernel has written; empty when it can't be had.

        For pages: it gives up early instead of letting the reader wait for a node that is away.
        """
        kernels: list[Kernel] = session["kernels"]
        if not kernels or kernels[0]["agent_id"] is None:
            return ""
        offset, end = 0, b""
        for _ in range(TAIL_PIECES_MAX):
            piece = await self.piece(kernels[0], offset, answer_s=TAIL_ANSWER_S)
            if isinstance(piece, Rejection) or not piece.data:
                break
            offset = piece.next_offset
            end = (end + piece.data)[-TAIL_BYTES:]
        return end.decode(errors="replace")

    async def follow(self, look: Look, pause: Pause) -> AsyncIterator[bytes]:
        """Yield the log as it is written, until the kernel has ended.

        `look` tells how the kernel stands (None: it is gone), `pause` waits for that to change or
        for so many seconds. A node that is away for a while is asked again, a few times. When the
        kernel is followed by another, after a restart, that one's log comes next.
        """
        offset, failures, kernel_id = 0, 0, ""
        while failures < FAILURES_MAX:
            sight = await look()
            if sight is None:
                return
            if sight.kernel["id"] != kernel_id:
                offset, failures, kernel_id = 0, 0, sight.kernel["id"]
            if sight.kernel["agent_id"] is None:
                if sight.is_over:
                    return
                await pause(WAIT_S)
                continue
            piece = await self.piece(sight.kernel, offset, wait_s=WAIT_S)
            if isinstance(piece, Rejection) or not piece.found:
                if sight.is_over and not isinstance(piece, Rejection):
                    return
                failures += 1
                await pause(1.0)
                continue
            failures = 0
            offset = piece.next_offset
            yield piece.data
            if piece.ended and not piece.data:
                # the node knows before the read model whether the session is restarted or over
                if sight.is_over:
                    return
                await pause(RESTART_S)
