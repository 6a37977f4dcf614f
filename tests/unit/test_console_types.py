"""The console's types are those of the API, and its words are all there."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from services.operator.answers import CannedAnswer
from services.operator.domain.history import VariableThen
from services.operator.saved_views import SavedView
from services.operator.transports import desk_schemas, history_schemas, schemas, team_routes
from services.operator.transports.account_routes import AccountDetail, AccountList
from services.operator.transports.answer_routes import Answers
from services.operator.transports.login import LoginOptions
from services.operator.transports.second_factor_routes import (
    RecoveryCodes,
    SecondFactorSecret,
    SecondFactorState,
)
from services.operator.transports.session_routes import SessionDetail, SessionList
from services.operator.transports.view_routes import Views
from services.operator.transports.webhook_routes import (
    DeadWebhookDetail,
    WebhookEndpointDetail,
    WebhookOverview,
)

CONSOLE = Path(__file__).parent.parent.parent / "services/operator/static/console"
TYPES = (CONSOLE / "types.d.ts").read_text()
WORDS = (CONSOLE / "texts/en.js").read_text()
#: Those with another name there.
PAIRS: dict[str, type[msgspec.Struct]] = {
    "Person": schemas.Me,
    "Me": schemas.LoggedIn,
    "SavedView": SavedView,
    "Views": Views,
    "LoginOptions": LoginOptions,
    "SecondFactorState": SecondFactorState,
    "SecondFactorSecret": SecondFactorSecret,
    "RecoveryCodes": RecoveryCodes,
    "AccountDetail": AccountDetail,
    "AccountList": AccountList,
    "SessionDetail": SessionDetail,
    "SessionList": SessionList,
    "WebhookEndpointDetail": WebhookEndpointDetail,
    "DeadWebhookDetail": DeadWebhookDetail,
    "WebhookOverview": WebhookOverview,
    "Colleague": schemas.Colleague,
    "OverviewOperator": team_routes.OverviewOperator,
    "OverviewQueue": team_routes.OverviewQueue,
    "Overview": team_routes.Overview,
    "AssignedTo": desk_schemas.AssignedTo,
    "Noted": desk_schemas.NotedFields,
    "DueTime": schemas.DueTime,
    "Row": schemas.Row,
    "Line": schemas.TranscriptLine,
    "Told": schemas.Told,
    "Detail": schemas.Detail,
    "Presence": schemas.PresenceEvent,
    "DraftPiece": schemas.DraftEvent,
    "EarlierTalk": schemas.EarlierTalk,
    "Earlier": schemas.EarlierContacts,
    "PastMessages": schemas.PastMessages,
    "Note": desk_schemas.NoteLine,
    "DeskDetail": desk_schemas.DeskDetail,
    "Page": schemas.ConversationPage,
    "CannedAnswer": CannedAnswer,
    "Answers": Answers,
    "SearchFor": schemas.SearchFor,
    "Match": schemas.MatchLine,
    "FoundRow": schemas.FoundRow,
    "Found": schemas.FoundConversations,
    "HistoryEntry": history_schemas.HistoryEntry,
    "HistoryPage": history_schemas.HistoryPage,
    "HistoryPoint": history_schemas.HistoryPoint,
    "StateThen": history_schemas.StateThen,
    "TimerThen": history_schemas.TimerThen,
    "RuleThen": history_schemas.RuleThen,
    "Explanation": history_schemas.Explanation,
    "VariableThen": VariableThen,
}


def fields(name: str) -> set[str]:
    """Those of an interface, with what it extends."""
    found = re.search(rf"export interface {name}(?: extends (\w+))? {{(.*?)\n}}", TYPES, re.DOTALL)
    assert found, name
    own = set(re.findall(r"^  (\w+)\??:", found[2], re.MULTILINE))
    return own | (fields(found[1]) if found[1] else set())


@pytest.mark.parametrize("name", PAIRS)
def test_an_interface_has_the_fields_that_the_api_gives(name: str) -> None:
    assert fields(name) == {field.encode_name for field in msgspec.structs.fields(PAIRS[name])}


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    defined = set(re.findall(r"^  (\w+):", WORDS, re.MULTILINE))
    sources = "\n".join(path.read_text() for path in CONSOLE.glob("*.js"))
    assert {name for name in defined if not re.search(rf"""["'.\[ ]?\b{name}\b""", sources)} == set()
    assert set(re.findall(r"""\bt\(["'](\w+)["']""", sources)) <= defined
    assert len(defined) > 100


def test_no_file_of_the_console_is_longer_than_a_person_keeps_in_mind() -> None:
    assert {path.name for path in CONSOLE.glob("*.js") if len(path.read_text().splitlines()) > 300} == set()
