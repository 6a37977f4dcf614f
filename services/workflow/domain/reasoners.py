"""Which models reason before they answer, by their names and by how they begin. Pure.

Some servers leave out the mark with which reasoning begins: the template of the model ends with it, so it
is in the request and not in the answer. Until such an answer has shown the end of its reasoning nobody can
tell it from words for the visitor. A wrong guess here costs only that one answer comes in one piece.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_NAMED: Final = re.compile(
    r"think|reason|magistral|(?<![a-z])(?:deepseek[-_ ]?)?r1(?![a-z0-9])|qw[qv]|(?<![a-z])glm[-_]?z1|"
    r"(?:marco|skywork|open)[-_ ]?o?r?1(?![0-9])|exaone[-_]?deep|deepscaler|deepcoder|minimax[-_]?m\d|"
    r"hunyuan[-_]?t1|ernie[-_]?x1|(?<![a-z])k1\.5|light[-_]?r1|open[-_]?r1",
    re.IGNORECASE,
)

#: How reasoning begins that speaks about the visitor instead of to them.
_MUSINGS: Final = (
    *("Okay, ", "Ok, ", "Alright, ", "Hmm", "Hm,", "Wait, ", "Well, the user", "Got it, the user"),
    *("The user", "The visitor", "The customer", "So the user", "So, the user", "First, the user"),
    *("The question is", "The query", "User asks", "User wants", "The human", "This is a question"),
    *("We need", "We have to", "We are asked", "We must", "I need to", "I should", "I have to"),
    *("Let me think", "Let me see", "Let me analy", "Let's think", "Let's see", "Let's break", "First, I"),
    *("Der Benutzer", "Der Nutzer", "Okay, der", "L'utilisateur", "L\u2019utilisateur", "El usuario"),
    *("O usu\u00e1rio", "L'utente"),
    *("\u041f\u043e\u043b\u044c\u0437\u043e\u0432\u0430\u0442\u0435\u043b\u044c",),
    *("\u7528\u6237", "\u597d\u7684\uff0c", "\u597d\uff0c", "\u55ef\uff0c", "\u9996\u5148\uff0c"),
    *("\u7528\u6236", "\u30e6\u30fc\u30b6\u30fc", "\uc0ac\uc6a9\uc790"),
)
_FOLDED: Final = tuple(musing.casefold() for musing in _MUSINGS)
_MAX_LENGTH: Final = max(map(len, _MUSINGS))


@lru_cache(maxsize=512)
def is_known_to_reason(model: str) -> bool:
    """Whether the name of a model says that it reasons before it answers."""
    return _NAMED.search(model) is not None


def begins_as_reasoning(text: str) -> bool:
    """Whether an answer that begins so may be reasoning."""
    return text.lstrip()[:_MAX_LENGTH].casefold().startswith(_FOLDED)
