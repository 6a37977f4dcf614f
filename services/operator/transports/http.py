"""The operators' API: routes, and the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Response, get, post
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from services.operator.accounts import SecondFactorDemanded
from services.operator.answers import CannedAnswers
from services.operator.desk import MAX_INTEGER, Desk
from services.operator.desk_state import DeskState
from services.operator.domain.availability import availability
from services.operator.domain.decisions import Operator
from services.operator.domain.desk import View
from services.operator.domain.export import MEDIA, Format, exported
from services.operator.domain.leases import Leases
from services.operator.domain.mails import words_for
from services.operator.domain.search import Search, question
from services.operator.handlers import CommandRefused, Handlers, NotFound, Still
from services.operator.saved_views import SavedViews
from services.operator.settings import Settings
from services.operator.suggestions import Suggester
from services.operator.transports import schemas
from services.operator.transports.account_routes import account_routes
from services.operator.transports.answer_routes import answer_routes
from services.operator.transports.dashboard_routes import to_dashboard
from services.operator.transports.desk_routes import desk_routes
from services.operator.transports.events import EventHub
from services.operator.transports.history_routes import history_routes
from services.operator.transports.login import COOKIE, Door, caller_of, session_cookie
from services.operator.transports.pages import OfflineSwagger, pages
from services.operator.transports.parameters import Id, Req
from services.operator.transports.problems import answers, as_json
from services.operator.transports.second_factor_routes import second_factor_routes
from services.operator.transports.session_routes import session_routes
from services.operator.transports.sign_on_routes import sign_off_address, sign_on_routes
from services.operator.transports.suggestion_routes import suggestion_routes
from services.operator.transports.team_routes import team_routes
from services.operator.transports.view_routes import view_routes
from services.operator.transports.webhook_routes import webhook_routes
from services.operator.webhook_store import WebhookStore
from shared.contract.desk_settings import DeskSettings
from shared.contract.subjects import SESSION_HOURS
from shared.contract.visible import cleaned
from shared.service.health import VERSION
from shared.service.neighbours import neighbour

#: The largest request (bytes).
MAX_BODY = 64 * 1024

#: Of a visitor's other conversations.
MAX_OTHERS = 20

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="at most so many conversations")]
#: JavaScript has no larger whole numbers, and what is kept in nanoseconds none that are much larger.
Before = Annotated[
    int | None, QueryParameter(ge=0, le=2**53 - 1, description="the `next` of the page before")
]


_OPEN: dict[str, Any] = {"status_code": 200, "security": []}
_COMMAND: dict[str, Any] = {"status_code": 200, "responses": answers(401, 404, 409)}


@post("/api/login", responses=answers(401, 403, 422, 429), **_OPEN)
async def login(
    data: JSONBody[schemas.Login], request: Req, door: Door, desk_state: DeskState
) -> Response[schemas.LoggedIn]:
    """Log in: sets the session's cookie. Of an account with a second factor with its `code`; without it the
    answer is 401, with `second_factor`.
    """
    entered = await door.log_in(data.name, data.password, data.code, caller_of(request))
    if entered is None:
        raise NotAuthorizedException("name or password is wrong")
    token, operator = entered
    me = await _me(operator, token, door, desk_state)
    return Response(me, cookies=[session_cookie(request, token, SESSION_HOURS * 3600)])


@post("/api/logout", **_OPEN)
async def logout(request: Req, door: Door, hub: EventHub) -> Response[schemas.LoggedOut]:
    """Log out: ends the session everywhere. `next` is where to log out at the provider of single sign-on."""
    address = ""
    if token := request.cookies.get(COOKIE):
        address = await sign_off_address(door, token)
        await door.accounts.sessions.end_token(token)
        hub.ask()
    return Response(schemas.LoggedOut(address or None), cookies=[session_cookie(request, "", 0)])


@get("/api/me", responses=answers(401))
async def me(request: Req, enrolling: Operator, door: Door, desk_state: DeskState) -> schemas.LoggedIn:
    """Who is logged in."""
    return await _me(enrolling, request.cookies.get(COOKIE, ""), door, desk_state)


async def _me(operator: Operator, token: str, door: Door, desk_state: DeskState) -> schemas.LoggedIn:
    try:
        await door.accounts.who(token)
        enrol = False
    except SecondFactorDemanded:
        enrol = True
    found = await door.accounts.account(operator.name)
    password = found is not None and found[0].has_password
    return schemas.logged_in(operator, desk_state.chosen(operator.name), enrol, password)


@get("/api/operators", responses=answers(401))
async def operators(
    operator: Operator, door: Door, here: Leases, desk_state: DeskState
) -> schemas.Colleagues:
    """Everybody who may log in, and who is here: for whom a conversation may be meant."""
    found = await door.accounts.all()
    return schemas.Colleagues([_colleague(who, here, desk_state) for who in found])


def _colleague(who: Operator, here: Leases, desk_state: DeskState) -> schemas.Colleague:
    present = here.present(who.name)
    available = availability(desk_state.chosen(who.name), present)
    return schemas.Colleague(who.name, who.display, who.role, available, present)


@get("/api/conversations", responses=answers(401))
async def conversations(
    operator: Operator,
    desk: Desk,
    settings: DeskSettings,
    view: View = "queue",
    limit: Limit = 100,
    before: Before = None,
) -> schemas.ConversationPage:
    """A list: the queue (who waits longest first), what is snoozed (what comes back first), mine, live or
    resolved (the latest first). What is snoozed is neither in the queue nor in mine.
    """
    page = desk.page(view, operator.name, limit, before)
    return schemas.ConversationPage(
        [schemas.row(summary, settings) for summary in page.conversations], page.next
    )


@post("/api/search", status_code=200, responses=answers(401, 422))
async def search(
    operator: Operator, desk: Desk, settings: DeskSettings, data: JSONBody[schemas.SearchFor]
) -> schemas.FoundConversations:
    """Conversations in which all words of `words` stand in one text that was written, noted, or saved by the
    flow: each as the beginning of a word, "in quotes" one after the other. Without `words` all that fit the
    rest, the latest first. It changes nothing; a POST, since what is looked for belongs into no access log.
    """
    words = question(data.words)
    if data.words.strip() and not words:
        raise HTTPException("words: there is no word in it to look for", status_code=422)
    wanted = Search(
        question=words,
        who=data.who,
        status=data.status,
        operator=data.operator,
        queue=data.queue,
        label=data.label,
        rating=data.rating,
        since=_nanoseconds(data.since),
        until=_nanoseconds(data.until),
    )
    return schemas.found(desk.search(wanted, data.limit, data.after), data.words, settings)


def _nanoseconds(moment: datetime | None) -> int:
    """Times that no file can hold are those at its ends."""
    if moment is None:
        return 0
    return min(max(int(moment.timestamp()) * 10**9, 1), MAX_INTEGER)


@get("/api/conversations/{id:str}", responses=answers(401, 404))
async def conversation(
    id: Id, operator: Operator, handlers: Handlers, still: Still, settings: DeskSettings
) -> schemas.Detail:
    """A conversation with what was said since the visitor last began anew."""
    messages: list[msgspec.Raw] = []
    async for _ in handlers.pace.through(
        await handlers.transcript(id), lambda line: messages.append(schemas.message(line))
    ):
        pass
    await still()  # a long one takes a while
    summary = await handlers.find(id)
    places = await handlers.places(summary.state.progress.version)
    return schemas.detail(summary, messages, places, settings, handlers.mails)


@get("/api/conversations/{id:str}/earlier", responses=answers(401, 404))
async def earlier(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    desk: Desk,
    still: Still,
    settings: DeskSettings,
) -> schemas.EarlierContacts:
    """What there is to read of the same visitor from before: talks that ended when the visitor began anew,
    and other conversations.
    """
    past = await handlers.past_talks(id)
    await still()  # a long one takes a while
    return schemas.earlier(past.talks, desk.others_of(await handlers.find(id), MAX_OTHERS), settings)


@get("/api/conversations/{id:str}/earlier/{talk:int}", responses=answers(401, 404))
async def earlier_talk(
    id: Id, talk: int, operator: Operator, handlers: Handlers, still: Still
) -> schemas.PastMessages:
    """What was said in an earlier talk of the conversation."""
    past = await handlers.past_talks(id, talk)
    if not past.lines:
        raise NotFound
    messages: list[msgspec.Raw] = []
    async for _ in handlers.pace.through(past.lines, lambda line: messages.append(schemas.message(line))):
        pass
    await still()
    await handlers.find(id)  # it may have been erased meanwhile
    return schemas.past(messages)


@get("/api/conversations/{id:str}/export", responses=answers(401, 404))
async def export(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    form: Annotated[Format, QueryParameter(name="format", description="of which kind the file is")] = "text",
    notes: Annotated[bool, QueryParameter(description="with what colleagues noted")] = False,
) -> Response[bytes]:
    """A conversation as a file, with what was said since the visitor last began anew."""
    transcript = await handlers.transcript(id)
    summary = await handlers.find(id)
    await still()  # a long one takes a while
    media, ending = MEDIA[form]
    name = f"conversation-{id[:8]}.{ending}"
    return Response(
        await asyncio.to_thread(exported, form, summary, transcript, notes),
        media_type=media,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@post("/api/conversations/{id:str}/claim", status_code=200, responses=answers(401, 403, 404, 409))
async def claim(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    settings: DeskSettings,
    door: Door,
    data: JSONBody[schemas.Claim | None] = None,
) -> schemas.Row:
    """Take the conversation over: from here on the bot is silent. From another operator where that account
    was removed or disabled, since nobody is left alone with one who cannot come back; and, with `take_from`,
    as a supervisor.
    """
    if data is not None and data.take_from is not None:
        if operator.role == "operator":
            raise PermissionDeniedException("only supervisors may take over from somebody else")
        return schemas.row(await handlers.take_over(id, operator, data.take_from, still), settings)
    try:
        return schemas.row(await handlers.claim(id, operator, still), settings)
    except CommandRefused as refused:
        owner = refused.why.operator
        if not owner or await door.accounts.find(owner) is not None:
            raise
    return schemas.row(await handlers.take_over(id, operator, owner, still), settings)


@post("/api/conversations/{id:str}/say", status_code=200, responses=answers(401, 404, 409, 422))
async def say(
    id: Id,
    data: JSONBody[schemas.Say],
    operator: Operator,
    handlers: Handlers,
    still: Still,
    settings: DeskSettings,
) -> schemas.Row:
    """Say something to the visitor."""
    text = cleaned(data.text)
    if not text:
        raise HTTPException("there is nothing to say", status_code=422)
    if len(data.text.encode()) > schemas.MAX_TEXT:
        raise HTTPException(f"the text is longer than {schemas.MAX_TEXT} bytes", status_code=422)
    return schemas.row(await handlers.say(id, operator, text, data.id, still), settings)


@post("/api/conversations/{id:str}/typing", **_COMMAND)
async def typing(id: Id, operator: Operator, handlers: Handlers) -> schemas.Done:
    """Show the visitor that the operator is typing."""
    await handlers.type(id, operator)
    return schemas.Done()


@post("/api/conversations/{id:str}/watch", status_code=200, responses=answers(401, 404))
async def watch(
    id: Id, data: JSONBody[schemas.WatchConversation], operator: Operator, handlers: Handlers
) -> schemas.Done:
    """Say that a console shows the conversation. For the next 25 s its feed has `presence` and `draft` events
    of it, and of no other: where the visitor is, and what the assistant is saying.
    """
    await handlers.watch(id, data.console)
    return schemas.Done()


@post("/api/presence", status_code=200, responses=answers(401))
async def presence(operator: Operator) -> schemas.Done:
    """Say that you are there. A console does so at each `heartbeat` event; any other request says it too."""
    return schemas.Done()


@post("/api/conversations/{id:str}/handback", status_code=200, responses=answers(401, 404, 409, 422))
async def handback(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    settings: DeskSettings,
    data: JSONBody[schemas.HandBack | None] = None,
) -> schemas.Row:
    """Let the bot go on, at `state` or where it was."""
    return schemas.row(await handlers.hand_back(id, operator, data.state if data else None, still), settings)


@post("/api/conversations/{id:str}/transfer", status_code=200, responses=answers(401, 404, 409, 422))
async def transfer(
    id: Id,
    data: JSONBody[schemas.Transfer],
    operator: Operator,
    handlers: Handlers,
    still: Still,
    settings: DeskSettings,
    door: Door,
) -> schemas.Row:
    """Pass your conversation on: to another operator, or back to a queue. No visitor is shown the `note`."""
    note = cleaned(data.note)
    if data.operator is None:
        return schemas.row(await handlers.release(id, operator, data.queue, note, still), settings)
    if data.queue is not None:
        raise HTTPException("say who goes on, or in which queue it waits, not both", status_code=422)
    to = await door.accounts.find(data.operator)
    if to is None:
        raise HTTPException(f"there is no operator {data.operator!r} who may log in", status_code=422)
    return schemas.row(await handlers.transfer(id, operator, to, note, still), settings)


@post("/api/conversations/{id:str}/resolve", **_COMMAND)
async def resolve(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    settings: DeskSettings,
    data: JSONBody[schemas.Resolve | None] = None,
) -> schemas.Row:
    """Close the conversation as done: yours, or with `unjoined` one that nobody has."""
    return schemas.row(
        await handlers.resolve(id, operator, still, data is not None and data.unjoined), settings
    )


@post("/api/conversations/{id:str}/ask-rating", **_COMMAND)
async def ask_rating(
    id: Id, operator: Operator, handlers: Handlers, still: Still, settings: DeskSettings
) -> schemas.Row:
    """Ask the visitor how it was: of your conversation, or of one that is resolved. Nobody is asked twice for
    one matter; `feedback` of the row says whether they were.
    """
    return schemas.row(await handlers.ask_rating(id, operator, still), settings)


@post("/api/conversations/{id:str}/ask-address", status_code=200, responses=answers(401, 404, 409, 422))
async def ask_address(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    settings: DeskSettings,
    data: JSONBody[schemas.AskAddress | None] = None,
) -> schemas.Row:
    """Ask the visitor of your conversation for an e-mail address: what is said once they are gone goes there.
    The next text of the visitor's that is an address and nothing else is the answer.
    """
    if not handlers.mails:
        reason = "no e-mail goes out from here: set SWITCHBOARD_SMTP_HOST"
        raise HTTPException(reason, status_code=422)
    asked = cleaned(data.text) if data else ""
    if not asked:
        asked = words_for((await handlers.find(id)).state.visit.begun.language).ask
    return schemas.row(await handlers.ask_address(id, operator, asked, still), settings)


@get("/api/events", responses=answers(401), media_type="text/event-stream")
async def events(
    operator: Operator,
    request: Req,
    door: Door,
    hub: EventHub,
    console: Annotated[
        str | None,
        QueryParameter(pattern=schemas.CONSOLE, description="a name for `watch`, a random UUID"),
    ] = None,
) -> Stream:
    """Changes as they happen: `conversation` (its row), `message` (a new line), `typing`, `erased`,
    `settings` (other settings of the desk hold: read the lists anew), `team` (somebody has chosen to be
    available, or not to be); of the conversation that the console shows also `presence` and `draft`, see
    `watch`.

    The stream ends within five seconds of the login.
    """
    token = request.cookies.get(COOKIE, "")

    async def still_welcome() -> bool:
        try:
            return await door.accounts.who(token) == operator
        except SecondFactorDemanded:
            return False

    headers = {"X-Accel-Buffering": "no"}
    return Stream(hub.listen(still_welcome, console or ""), media_type="text/event-stream", headers=headers)


def build(
    desk: Callable[[], Desk],
    hub: EventHub,
    handlers: Callable[[], Handlers],
    door: Callable[[], Door],
    here: Leases,
    state: DeskState,
    canned: Callable[[], CannedAnswers],
    saved: Callable[[], SavedViews],
    suggester: Callable[[], Suggester],
    hooks: Callable[[], WebhookStore],
    installed: Settings,
) -> Litestar:
    """The ASGI application. ``here`` is told of every operator who asks for something."""

    async def operator(request: Req, door: Door) -> Operator:
        token = request.cookies.get(COOKIE)
        found = await door.accounts.who(token) if token else None
        if found is None:
            raise NotAuthorizedException("log in first")
        here.here(found.name)
        return found

    async def enrolling(request: Req, door: Door) -> Operator:
        """Who is logged in, also while the account needs a second factor before anything else."""
        try:
            return await operator(request, door)
        except SecondFactorDemanded:
            found = await door.accounts.who(request.cookies[COOKIE], enrolling=True)
        if found is None:
            raise NotAuthorizedException("log in first")
        return found

    async def still(request: Req, door: Door) -> Still:
        async def confirm() -> None:
            await operator(request, door)

        return confirm

    def dashboard(scope: Any) -> str:
        return neighbour(scope, installed.analytics_url, installed.analytics_port)

    return Litestar(
        route_handlers=[
            *(login, logout, me, operators, presence, conversations, search, conversation, export, events),
            *(
                earlier,
                earlier_talk,
                claim,
                say,
                typing,
                watch,
                handback,
                transfer,
                resolve,
                ask_rating,
                ask_address,
            ),
            desk_routes(),
            history_routes(),
            answer_routes(),
            view_routes(),
            suggestion_routes(),
            team_routes(),
            account_routes(),
            session_routes(),
            second_factor_routes(),
            *sign_on_routes(),
            webhook_routes(),
            to_dashboard,
            *pages(),
        ],
        dependencies={
            "desk": Provide(desk, sync_to_thread=False),
            "hub": Provide(lambda: hub, sync_to_thread=False),
            "handlers": Provide(handlers, sync_to_thread=False),
            "door": Provide(door, sync_to_thread=False),
            "operator": Provide(operator),
            "enrolling": Provide(enrolling),
            "still": Provide(still),
            "canned": Provide(canned, sync_to_thread=False),
            "saved": Provide(saved, sync_to_thread=False),
            "suggester": Provide(suggester, sync_to_thread=False),
            "hooks": Provide(hooks, sync_to_thread=False),
            "desk_state": Provide(lambda: state, sync_to_thread=False),
            "settings": Provide(lambda: state.settings, sync_to_thread=False),
            "here": Provide(lambda: here, sync_to_thread=False),
        },
        state=State({"session_domain": installed.session_domain, "dashboard": dashboard}),
        exception_handlers={Exception: as_json},
        request_max_body_size=MAX_BODY,
        openapi_config=OpenAPIConfig(
            title="Switchboard: operator",
            version=VERSION,
            path="/docs",
            render_plugins=[OfflineSwagger()],
            components=Components(
                security_schemes={
                    "cookie": SecurityScheme(type="apiKey", name=COOKIE, security_scheme_in="cookie")
                }
            ),
            security=[{"cookie": []}],
        ),
        logging_config=None,
        debug=False,
    )
