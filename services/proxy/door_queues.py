"""What is on its way between one client's connection and the log: the same for every door.

`Outbox` takes what the client says to the log. `ClientInbox` brings it what was said: the history, what is
stored meanwhile, what is stored from then on. `Unread` holds what the client has not taken yet. All of
them are bounded, and an error that nobody foresaw ends the connection: it must leave nobody waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Literal, TypeVar, get_args

import structlog

from services.proxy.domain.session import Append
from services.proxy.hub import Foreign, Hub
from shared.contract.entry import EntryTooLarge, RecordedEntry
from shared.eventlog.errors import Conflict, Full, IdReused, LogError

log = structlog.get_logger()

T = TypeVar("T")

#: What a client says at once before it is told that this is too much.
MAX_PENDING: Final = 100
#: What a reader that is too slow may leave unread before it is cut off.
MAX_UNREAD: Final = 2_000
MAX_UNREAD_BYTES: Final = 1024 * 1024
#: How many are handed to the client's connection at once; more when it has taken these.
BATCH: Final = 50
#: Entries that are kept for a client that is still being told the history; of more it reads on.
MAX_EARLY: Final = 200

#: How an append may end, as the metrics name it.
Outcome = Literal["stored", "conflict", "id_reused", "foreign", "too_large", "full", "unknown"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class Outbox:
    """Appends what a client says, one after the other, as it was said. No task: nearly every append is
    answered at the first try.

    ``ended`` is told how each of them ended, and of one that names what the flow does not know ("foreign")
    the refusal's reason. After one whose fate is "unknown" nothing more is appended,
    and the connection is to be closed: neither stored nor refused is said on a guess, so the client comes
    back and asks again. That includes whatever is our own fault.
    """

    __slots__ = ("_append", "_conversation", "_ended", "_hub", "_pending", "_shut")

    def __init__(self, hub: Hub, conversation: str, ended: Callable[[Append, Outcome, str], None]) -> None:
        self._hub = hub
        self._conversation = conversation
        self._ended = ended
        self._pending: list[Append] = []  # an empty deque has 600 bytes
        self._append: asyncio.Future[int] | None = None  # of the first that is pending
        self._shut = False

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, append: Append) -> None:
        """Append it when those before it are."""
        if self._shut:
            return
        self._pending.append(append)
        if self._append is None:
            self._store()

    async def stored(self) -> None:
        """Wait until everything that was put has its append answered."""
        while self._append is not None:
            await asyncio.wait([self._append])

    def _store(self) -> None:
        append = self._pending[0]
        try:
            self._append = self._hub.append(self._conversation, append.entry, append.expect, append.version)
        except Exception as error:
            self._append = asyncio.get_running_loop().create_future()
            self._append.set_exception(error)
        self._append.add_done_callback(self._answered)

    def _answered(self, position: asyncio.Future[int]) -> None:
        append = self._pending.pop(0)
        self._append = None
        outcome, reason, error = _outcome(position)
        if error is not None:
            self._shut = True
            self._pending.clear()
            fault = None if isinstance(error, LogError) else error
            log.warning("append_unknown", conversation=self._conversation, error=str(error), exc_info=fault)
        try:
            self._ended(append, outcome, reason)
        except Exception as problem:
            log.warning("outcome_not_told", conversation=self._conversation, exc_info=problem)
            if not self._shut:
                self._shut = True
                self._pending.clear()
                self._ended(append, "unknown", "")
        if self._pending:
            self._store()


def _outcome(position: asyncio.Future[int]) -> tuple[Outcome, str, BaseException | None]:
    """How an append ended, with the reason of a refusal, and the error that leaves its fate unknown."""
    try:
        position.result()
        return "stored", "", None
    except Conflict:
        return "conflict", "", None
    except IdReused:
        return "id_reused", "", None
    except Foreign as error:
        return "foreign", str(error), None
    except EntryTooLarge:
        return "too_large", "", None
    except Full:
        return "full", "", None
    except (Exception, asyncio.CancelledError) as error:
        return "unknown", "", error


class ClientInbox(Generic[T]):
    """What comes for a client, and from it, while it is told the history.

    ``said`` is kept as it came; the caller bounds it.
    """

    __slots__ = ("_early", "behind", "said")

    def __init__(self) -> None:
        self._early: list[RecordedEntry] = []
        self.said: list[T] = []
        #: More came than is kept: what is missing is on the log.
        self.behind = False

    def on_entry(self, recorded: RecordedEntry) -> None:
        """An entry was stored."""
        if self.behind:
            return
        self._early.append(recorded)
        if len(self._early) > MAX_EARLY:
            self._early.clear()
            self.behind = True

    async def catch_up(
        self, hub: Hub, conversation: str, after: Callable[[], int], follow: Callable[[RecordedEntry], None]
    ) -> None:
        """Let ``follow`` have what came since the history was read, without a gap. ``after`` says up to which
        position it has everything. When this returns, it has: whatever comes now goes to it at once.

        Raises `Unreachable`.
        """
        while self.behind:
            self.behind = False
            await hub.read(conversation, after(), follow)
        early, self._early = self._early, []
        for recorded in early:
            follow(recorded)


class Unread(Generic[T]):
    """What a client is yet to be given, in order. ``give`` hands some of it to the client's connection, and
    returns when it may be given more; ``late`` is called when it leaves too much unread, ``failed`` when it
    cannot be given anything for a reason that nobody foresaw.
    """

    __slots__ = ("_bytes", "_failed", "_give", "_items", "_late", "_writer")

    def __init__(
        self,
        give: Callable[[list[T]], Awaitable[None]],
        late: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._give = give
        self._late = late
        self._failed = failed
        self._items: list[tuple[T, int]] = []
        self._bytes = 0
        self._writer: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> bool:
        """Whether something is unread: what comes now must stand behind it."""
        return self._writer is not None

    def put(self, item: T, size: int) -> None:
        """``size`` in bytes, about."""
        self._items.append((item, size))
        self._bytes += size
        if len(self._items) > MAX_UNREAD or self._bytes > MAX_UNREAD_BYTES:
            self._late()
        elif self._writer is None:
            self._writer = asyncio.create_task(self._write())

    def clear(self) -> None:
        """Forget what was not handed over yet."""
        self._items.clear()

    def stop(self) -> None:
        """Give it nothing more, not even what is being handed over."""
        self._items.clear()
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while self._items:
                batch, self._items = self._items[:BATCH], self._items[BATCH:]
                await self._give([item for item, _ in batch])
                self._bytes -= sum(size for _, size in batch)
        except OSError:  # the client went
            pass
        except Exception as error:
            log.warning("not_written", exc_info=error)
            self._failed()
        finally:
            self._writer = None
