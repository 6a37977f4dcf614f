"""Each NATS user against the real server: it can do what it needs, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import get_args

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.errors import KeyNotFoundError

from deploy.local.embedded import USERS, EmbeddedNats
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import Author, BotSaid, ConversationErased, ConversationStarted, Fact, OperatorSaid
from shared.eventlog.connection import inbox_prefix
from shared.eventlog.layout import MAX_STREAMS, Layout
from shared.service.chat_log import flow_store, open_log
from tests.conftest import declare, flushed

CONVERSATION = subjects.conversation_of("a secret", "web")
AUTHORS: dict[str, Author] = {
    "proxy": "visitor",
    "workflow": "bot",
    "operator": "operator",
    "eraser": "eraser",
}
EVERY_STREAM = Layout(subjects.LOG, subjects.PREFIX, MAX_STREAMS).names
SERVICES = ("proxy", "workflow", "operator", "analytics", "eraser", "reader")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    server = EmbeddedNats(tmp_path_factory.mktemp("permissions"), sync="120s")
    server.start()

    async def prepare() -> None:
        async with connected(server, "admin") as admin:
            await declare(admin.client)

    asyncio.run(prepare())
    yield server
    server.stop()


class JudgedUser:
    """A connection that keeps what the server said against it."""

    def __init__(self, client: Client, errors: list[str]) -> None:
        self.client = client
        self._errors = errors

    async def may_publish(self, subject: str, payload: bytes = b"") -> bool:
        self._errors.clear()
        await self.client.publish(subject, payload)
        return await self._unblamed(subject)

    async def may_subscribe(self, subject: str) -> bool:
        self._errors.clear()
        await self.client.subscribe(subject)
        return await self._unblamed(subject)

    async def _unblamed(self, subject: str) -> bool:
        # The server answers in order: what it has against the subject comes before the pong.
        await flushed(self.client)
        return not any("permissions violation" in error.lower() for error in self._errors)


@contextlib.asynccontextmanager
async def connected(server: EmbeddedNats, name: str) -> AsyncIterator[JudgedUser]:
    errors: list[str] = []

    async def remember(error: Exception) -> None:
        errors.append(str(error))

    client = await nats.connect(
        server.url(name),
        inbox_prefix=inbox_prefix(name).encode(),
        error_cb=remember,
        allow_reconnect=False,
        connect_timeout=30,
    )
    try:
        yield JudgedUser(client, errors)
    finally:
        with contextlib.suppress(Error):
            await client.close()


@pytest.mark.parametrize("name", USERS)
async def test_only_its_own_author(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        for author in get_args(Author):
            subject = f"chat.1.forged{name}.{author}"
            assert await user.may_publish(subject) == (AUTHORS.get(name) == author), subject
        assert not await user.may_publish("chat.1.forged.admin")


@pytest.mark.parametrize("name", USERS)
async def test_only_the_operator_service_notes(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        assert await user.may_publish("desk.1.noted.desk") == (name == "operator")
        assert not await user.may_publish("desk.1.noted.visitor")
        assert not await user.may_subscribe("desk.>")  # that would deliver what the stream refuses


@pytest.mark.parametrize("name", USERS)
async def test_nobody_forges_what_only_the_server_says(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        assert not await user.may_publish(f"live.0.1.{CONVERSATION}.visitor")
        assert not await user.may_publish("live.x")
        assert not await user.may_publish("deliver.workflow")
        assert not await user.may_publish("_INBOX_proxy.forged.answer")


@pytest.mark.parametrize("name", SERVICES)
async def test_nobody_touches_streams_or_consumers(server: EmbeddedNats, name: str) -> None:
    durable = json.dumps(
        {"stream_name": "CHAT-0", "config": {"deliver_subject": f"_INBOX_{name}.stolen"}}
    ).encode()
    async with connected(server, name) as user:
        for request in (
            *(
                f"STREAM.{verb}.{stream}"
                for stream in ("CHAT-0", "FLOWS", "KV_OPERATORS", "MINE")
                for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE")
            ),
            "CONSUMER.CREATE.CHAT-0",
            "CONSUMER.CREATE.CHAT-0.mine",
            "CONSUMER.CREATE.CHAT-0.mine.chat.>",
            "CONSUMER.DURABLE.CREATE.CHAT-0.workflow",
            "CONSUMER.DELETE.CHAT-0.workflow",
            "CONSUMER.PAUSE.CHAT-0.workflow",
            "CONSUMER.RESET.CHAT-0.workflow",
            "CONSUMER.LEADER.STEPDOWN.CHAT-0.workflow",
            "CONSUMER.MSG.NEXT.CHAT-0.workflow",
        ):
            assert not await user.may_publish(f"$JS.API.{request}", durable), request


@pytest.mark.parametrize("name", USERS)
async def test_nobody_listens_to_another(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        assert await user.may_subscribe(f"_INBOX_{name}.x")
        assert not await user.may_subscribe("_INBOX.>")
        assert not await user.may_subscribe(">")
        for other in USERS:
            if other != name:
                assert not await user.may_subscribe(f"_INBOX_{other}.>"), other
        # That would deliver what the stream refuses.
        assert not await user.may_subscribe("chat.>")
        assert await user.may_subscribe("deliver.workflow") == (name == "workflow")
        assert await user.may_subscribe("deliver.eraser") == (name == "eraser")
        assert await user.may_subscribe("live.>") == (name not in ("admin", "backend"))


@pytest.mark.parametrize("name", USERS)
async def test_only_the_workflow_acknowledges_its_deliveries(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        for stream in EVERY_STREAM:
            acknowledged = await user.may_publish(f"$JS.ACK.{stream}.workflow.1.1.1.1.0", b"+NXT")
            assert acknowledged == (name == "workflow")
            erased = await user.may_publish(f"$JS.ACK.{stream}.eraser.1.1.1.1.0", b"+NXT")
            assert erased == (name == "eraser")
            assert not await user.may_publish(f"$JS.ACK.{stream}.other.1.1.1.1.0")
        assert await user.may_publish("flow.0000") == (name == "workflow")


@pytest.mark.parametrize("name", USERS)
async def test_only_a_service_itself_sets_its_replay_back(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        for service in ("operator", "analytics"):
            own = name == service
            for stream in EVERY_STREAM:
                reset = f"$JS.API.CONSUMER.RESET.{stream}.replay-{service}"
                assert await user.may_publish(reset) == (own or name == "admin")
                assert await user.may_publish(f"$JS.ACK.{stream}.replay-{service}.1.1.1.1.1") == own
            assert await user.may_subscribe(f"deliver.replay.{service}.*") == own


@pytest.mark.parametrize("name", SERVICES)
async def test_every_stream_that_a_log_may_have_is_read(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        for stream in EVERY_STREAM:
            for request in (f"STREAM.INFO.{stream}", f"STREAM.MSG.GET.{stream}", f"DIRECT.GET.{stream}"):
                assert await user.may_publish(f"$JS.API.{request}"), request
        assert not await user.may_publish(f"$JS.API.DIRECT.GET.CHAT-{MAX_STREAMS}")


@pytest.mark.parametrize("name", USERS)
async def test_the_operator_service_asks_for_suggestions_and_the_workflow_answers(
    server: EmbeddedNats, name: str
) -> None:
    async with connected(server, name) as user:
        for subject in (subjects.SUGGESTIONS, subjects.SUGGESTIONS_OFFERED):
            assert await user.may_publish(subject) == (name == "operator")
            assert await user.may_subscribe(subject) == (name == "workflow")
        assert await user.may_publish(f"{subjects.SUGGESTED}.1") == (name == "workflow")
        assert await user.may_subscribe(f"{subjects.SUGGESTED}.1") == (name == "operator")


@pytest.mark.parametrize("name", USERS)
async def test_analytics_asks_who_is_logged_in_and_the_operator_service_answers(
    server: EmbeddedNats, name: str
) -> None:
    async with connected(server, name) as user:
        assert await user.may_publish(subjects.LOGINS) == (name == "analytics")
        assert await user.may_subscribe(subjects.LOGINS) == (name == "operator")
        assert await user.may_publish(f"{subjects.LOGINS_TOLD}.1") == (name == "operator")
        assert await user.may_subscribe(f"{subjects.LOGINS_TOLD}.1") == (name == "analytics")


@pytest.mark.parametrize("name", USERS)
async def test_accounts_and_sessions(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        assert await user.may_publish("$KV.OPERATORS.someone") == (name in ("admin", "operator"))
        assert await user.may_publish("$KV.OPERATOR_SESSIONS.token") == (name == "operator")
        assert await user.may_publish("$KV.ANSWERS.shared") == (name in ("admin", "operator"))
        assert await user.may_publish("$JS.API.STREAM.MSG.GET.KV_ANSWERS") == (name in ("admin", "operator"))
        assert await user.may_publish("$KV.DESK.settings") == (name == "admin")
        for key in ("availability", "assigner", "mailer"):
            assert await user.may_publish(f"$KV.DESK.{key}") == (name in ("admin", "operator"))
        assert await user.may_publish("$JS.API.STREAM.MSG.GET.KV_DESK") == (name in ("admin", "operator"))
        assert await user.may_subscribe("$KV.DESK.>") == (name == "operator")
        read = await user.may_publish("$JS.API.DIRECT.GET.KV_DESK.$KV.DESK.settings")
        assert read == (name in ("admin", "analytics"))  # whose reports count working time
        assert await user.may_publish("$JS.API.DIRECT.GET.KV_DESK.$KV.DESK.other") == (name == "admin")
        for bucket in ("OPERATORS", "OPERATOR_SESSIONS"):
            asked = await user.may_publish(f"$JS.API.DIRECT.GET.KV_{bucket}.$KV.{bucket}.someone")
            assert asked == (name in ("admin", "operator")), bucket


@pytest.mark.parametrize("name", USERS)
async def test_only_the_operator_service_tells_by_webhooks(server: EmbeddedNats, name: str) -> None:
    both = name in ("admin", "operator")
    async with connected(server, name) as user:
        assert await user.may_publish(subjects.webhook_due("e", "1")) == both
        assert await user.may_publish(subjects.webhook_dead("e", "1")) == (name == "operator")
        assert await user.may_publish(f"$KV.{subjects.WEBHOOK_ENDPOINTS}.x") == both
        # It holds the endpoints' secrets.
        assert await user.may_publish(f"$JS.API.STREAM.MSG.GET.KV_{subjects.WEBHOOK_ENDPOINTS}") == both
        assert await user.may_subscribe(subjects.WEBHOOKS_DELIVERY) == (name == "operator")
        assert await user.may_subscribe(subjects.WEBHOOKS_DUE_DELIVERY) == (name == "operator")


@pytest.mark.parametrize("name", USERS)
async def test_keys_are_for_those_who_read_or_write_words(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        speaks = name in AUTHORS
        assert await user.may_publish("key.0011223344556677.0") == (speaks or name == "admin")
        destroys = name in ("admin", "eraser")
        assert await user.may_publish("key.0011223344556677.1") == destroys
        assert await user.may_publish("$JS.API.STREAM.MSG.DELETE.KEYS") == destroys
        for request in ("DIRECT.GET.KEYS", "STREAM.MSG.GET.KEYS"):
            assert await user.may_publish(f"$JS.API.{request}") == (speaks or name == "admin"), request
        for request in (
            *("DIRECT.GET.KEYS.key.0011223344556677.0", "STREAM.INFO.KEYS"),
            *("STREAM.PURGE.KEYS", "STREAM.UPDATE.KEYS", "STREAM.DELETE.KEYS"),
            *("CONSUMER.CREATE.KEYS", "CONSUMER.CREATE.KEYS.mine.key.>", "STREAM.SNAPSHOT.KEYS"),
        ):
            if name != "admin":
                assert not await user.may_publish(f"$JS.API.{request}"), request
        assert not await user.may_subscribe("key.>")
        assert not await user.may_subscribe("key.*.*")


@pytest.mark.parametrize("name", USERS)
async def test_who_types(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        assert await user.may_publish(subjects.typing(CONVERSATION, "visitor")) == (name == "proxy")
        assert await user.may_publish(subjects.typing(CONVERSATION, "operator")) == (name == "operator")
        assert await user.may_subscribe("typing.*.*.visitor") == (name == "operator")
        assert await user.may_subscribe("typing.*.*.operator") == (name == "proxy")


@pytest.mark.parametrize("name", USERS)
async def test_who_looks_at_a_conversation_and_who_tells_of_its_visitor(
    server: EmbeddedNats, name: str
) -> None:
    async with connected(server, name) as user:
        assert await user.may_publish(subjects.watch(CONVERSATION, "visitor")) == (name == "proxy")
        assert await user.may_publish(subjects.watch(CONVERSATION, "operator")) == (name == "operator")
        assert await user.may_subscribe(subjects.WATCHES) == (name == "operator")
        assert await user.may_subscribe(subjects.watch(CONVERSATION, "visitor")) == (name == "operator")
        assert await user.may_subscribe(subjects.WATCHES_ASKED) == (name in ("proxy", "operator"))


@pytest.mark.parametrize("name", SERVICES)
async def test_everyone_reads_the_log(server: EmbeddedNats, name: str) -> None:
    conversation = subjects.conversation_of(f"read by {name}", "web")
    async with connected(server, "proxy") as proxy, connected(server, name) as user:
        live = await user.client.subscribe("live.*.*.*.*")
        await flushed(user.client)
        entry = Entry(id="1", facts=(ConversationStarted(door="web"),))
        position = await (await open_log(proxy.client)).append(conversation, "visitor", entry, expect=0)
        assert (await live.next_msg(timeout=30)).headers is not None
        log = await open_log(user.client)
        assert await log.length() >= position
        assert await log.stream_of(conversation).at(position) is not None
        assert await log.last(conversation) == position
        assert [message.sequence for message in await log.fetch(conversation)] == [position]
        assert await flow_store(log).get("unknown") is None


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("workflow", BotSaid(text="Hi")),
        ("operator", OperatorSaid(operator="ada", text="Hi")),
        ("eraser", ConversationErased(by="ada")),
    ],
)
async def test_authors_append(server: EmbeddedNats, name: str, fact: Fact) -> None:
    conversation = subjects.conversation_of(f"written by {name}", "web")
    async with connected(server, name) as user:
        entry = Entry(id="1", facts=(fact,))
        assert await (await open_log(user.client)).append(conversation, AUTHORS[name], entry, expect=0)


async def test_the_workflow_keeps_flows_and_watches_its_consumer(server: EmbeddedNats) -> None:
    async with connected(server, "workflow") as user:
        log = await open_log(user.client)
        await flow_store(log).put("abc", b"{}")
        assert await flow_store(log).get("abc") == b"{}"
        info = await user.client.jetstream().consumer_info("CHAT-0", "workflow")
        assert info.config.deliver_subject == subjects.WORKFLOW_DELIVERY


async def test_the_operator_reads_accounts_and_keeps_sessions(server: EmbeddedNats) -> None:
    async with connected(server, "operator") as user:
        streams = user.client.jetstream()
        accounts = await streams.key_value("OPERATORS")
        with pytest.raises(KeyNotFoundError):
            await accounts.get("nobody")
        sessions = await streams.key_value("OPERATOR_SESSIONS")
        await sessions.put("token", b"ada")
        assert (await sessions.get("token")).value == b"ada"
        await sessions.delete("token")
        with pytest.raises(KeyNotFoundError):
            await sessions.get("token")


@pytest.mark.parametrize("name", USERS)
async def test_backends_answer_what_flows_ask_and_can_do_nothing_else(
    server: EmbeddedNats, name: str
) -> None:
    async with connected(server, name) as user:
        assert await user.may_publish("service.orders") == (name == "workflow")
        assert await user.may_subscribe("service.>") == (name == "backend")
        assert await user.may_subscribe("service.orders") == (name == "backend")
    async with connected(server, "backend") as backend:
        for subject in ("service.orders", "flow.0000", "$JS.API.INFO", "typing.presence", "anything"):
            assert not await backend.may_publish(subject), subject
        for subject in ("live.>", "draft.>", "timer.>", "deliver.timers", "typing.>", "_INBOX_workflow.>"):
            assert not await backend.may_subscribe(subject), subject


async def test_a_backend_answers_each_question_once_to_whoever_asked(server: EmbeddedNats) -> None:
    async with connected(server, "workflow") as workflow, connected(server, "backend") as backend:
        asked: asyncio.Queue[Msg] = asyncio.Queue()
        await backend.client.subscribe("service.orders", cb=asked.put)
        await flushed(backend.client)
        answers = await workflow.client.subscribe("_INBOX_workflow.answers")
        await workflow.client.publish("service.orders", b"?", reply="_INBOX_workflow.answers")
        question = await asked.get()
        assert await backend.may_publish(question.reply, b"!")
        assert (await answers.next_msg(timeout=30)).data == b"!"
        assert not await backend.may_publish(question.reply, b"again")


@pytest.mark.parametrize("name", USERS)
async def test_only_the_workflow_writes_drafts_and_timers(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        own = name == "workflow"
        assert await user.may_publish(subjects.draft(CONVERSATION)) == own
        assert await user.may_publish(subjects.timer_at(CONVERSATION, "after:1:0")) == own
        assert await user.may_publish("$JS.ACK.TIMERS.timers.1.1.1.1.0", b"+NXT") == own
        assert await user.may_subscribe(subjects.TIMERS_DELIVERY) == own
        # Only the server fires.
        assert not await user.may_publish(subjects.timer_due(CONVERSATION, "after:1:0"))
        assert not await user.may_publish(subjects.TIMERS_DELIVERY)
        assert await user.may_subscribe(subjects.draft(CONVERSATION)) == (name in ("proxy", "operator"))


@pytest.mark.parametrize("name", USERS)
async def test_who_tells_how_many_operators_are_there(server: EmbeddedNats, name: str) -> None:
    async with connected(server, name) as user:
        assert await user.may_publish(subjects.PRESENCE) == (name == "operator")
        assert await user.may_subscribe(subjects.PRESENCE) == (name in ("operator", "workflow"))


@pytest.mark.parametrize("name", USERS)
async def test_copies_of_the_log_and_the_archive_are_the_admins(server: EmbeddedNats, name: str) -> None:
    """They become the log: whoever could write there could write as anybody."""
    async with connected(server, name) as user:
        admin = name == "admin"
        assert await user.may_publish("reshard.0.chat.7.c.visitor") == admin
        assert await user.may_publish("archive.7.c0de.archive") == admin
        assert await user.may_publish("$SYS.REQ.ACCOUNT.PING.CONNZ") == admin
        assert not await user.may_subscribe("reshard.>")
        assert not await user.may_subscribe("archive.>")
