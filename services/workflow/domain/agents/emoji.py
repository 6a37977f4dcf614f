"""``emoji``: does the value contain an emoji? It counts the messages that do."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import emoji
import re2

from shared.contract.agents import AgentRequest, Answered, EmojiConfiguration

#: Of UTS #51 and its emoji-test.txt. A minimally qualified sequence begins with a fully qualified
#: emoji; a plain ``©``, ``1`` or ``#`` is unqualified, a lone skin tone a component.
_COUNTED: Final = (emoji.STATUS["fully_qualified"], emoji.STATUS["minimally_qualified"])


class Emoji:
    configuration = EmojiConfiguration

    def answer(
        self, configuration: EmojiConfiguration, memory: Any, request: AgentRequest, said: bool | None
    ) -> Answered:
        count = memory["messages"] if memory else 0
        if not contains_emoji(request.text):
            return Answered(result=False, memory=memory)
        count += 1
        grown = f"You've used emojis in {count} messages!"
        return Answered(result=True, memory={"messages": count}, interjections=(grown,))


def contains_emoji(text: str) -> bool:
    """Whether there is a fully qualified emoji in ``text``."""
    return not text.isascii() and _any_emoji().search(text) is not None


@lru_cache(maxsize=1)
def _any_emoji() -> Any:
    """All of them as one RE2 pattern: linear in the text, whatever a stranger sends."""
    known = (sign for sign, data in emoji.EMOJI_DATA.items() if data["status"] in _COUNTED)
    options = re2.Options()
    options.max_mem = 64 * 1024 * 1024
    return re2.compile("|".join(map(re2.escape, known)), options)
