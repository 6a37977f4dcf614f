"""The assistant's words while they are made: put together in order, without gaps or repeats."""

from __future__ import annotations

import msgspec

#: Characters of an answer that are kept; a longer one arrives whole when it is committed.
MAX_CHARACTERS = 256 * 1024


class DraftPiece(msgspec.Struct, frozen=True):
    """A piece of the answer to the input at ``cause``. ``offset`` counts characters (code points).

    ``end`` says that nothing more of this attempt comes: "committed", "interrupted" or "failed".
    """

    cause: int
    attempt: int
    offset: int
    text: str = ""
    end: str = ""


decoder = msgspec.json.Decoder(DraftPiece)


class DraftAssembly:
    """One attempt at an answer, as far as it has been heard."""

    def __init__(self, cause: int, attempt: int) -> None:
        self.cause = cause
        self.attempt = attempt
        self._parts: list[str] = []
        self._length = 0
        self._ahead: dict[int, str] = {}  # offset -> what came before its turn

    @property
    def whole(self) -> DraftPiece:
        """Everything so far in one piece."""
        text = "".join(self._parts)
        self._parts = [text]
        return DraftPiece(self.cause, self.attempt, 0, text)

    @property
    def gap(self) -> bool:
        """Whether something in between was not heard."""
        return bool(self._ahead)

    def take(self, draft: DraftPiece) -> DraftPiece | None:
        """What there is to tell now that ``draft`` has come: none, or the next piece."""
        if (draft.cause, draft.attempt) != (self.cause, self.attempt) or draft.offset < 0:
            return None
        if draft.offset + len(draft.text) > MAX_CHARACTERS:
            return None
        begin = self._length
        if draft.offset + len(draft.text) > begin or (draft.end and draft.offset > begin):
            self._ahead[draft.offset] = max(draft.text, self._ahead.get(draft.offset, ""), key=len)
        told: list[str] = []
        for offset in sorted(self._ahead):
            if offset > self._length:
                break
            news = self._ahead.pop(offset)[self._length - offset :]
            self._length += len(news)
            told.append(news)
        if not self._length > begin:
            return None
        piece = "".join(told)
        self._parts.append(piece)
        return DraftPiece(self.cause, self.attempt, begin, piece)
