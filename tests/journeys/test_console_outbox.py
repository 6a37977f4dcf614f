"""What an operator wrote is never lost and never sent twice, whatever happens to the link."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Route, expect

from shared.contract.facts import OperatorSaid
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, ConsolePage, from_operator, note
from tests.journeys.stage import Stage
from tests.journeys.tour import CALLING, MENU, WELCOME
from tests.journeys.watch import NETWORK, PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SAY = "**/say"


async def talking(people: People, ada: ConsolePage) -> tuple[ChatPage, str]:
    """Ada has taken a visitor over."""
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    conversation = await visitor.conversation()
    await ada.looks_at("queue")
    await ada.opens(conversation)
    await ada.takes_over()
    await visitor.sees(note("Ada joined"))
    return visitor, conversation


async def said(stage: Stage, conversation: str) -> list[str]:
    return [
        fact.text for fact in await stage.facts(conversation, OperatorSaid) if isinstance(fact, OperatorSaid)
    ]


class HeldMessages:
    """Requests to say something wait until they are let go."""

    def __init__(self) -> None:
        self.come: asyncio.Queue[Route] = asyncio.Queue()
        self.open = False

    async def __call__(self, route: Route) -> None:
        if self.open:
            await route.continue_()
        else:
            self.come.put_nowait(route)


async def test_messages_sent_quickly_are_all_sent_in_their_order(people: People, stage: Stage) -> None:
    """The answers take long: what is sent meanwhile waits its turn, and the editor is free at once."""
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    held = HeldMessages()
    await ada.page.route(SAY, held)
    for words in ("One", "Two", "Three"):
        await ada.says(words)
        await expect(ada.editor).to_have_value("")
    await expect(ada.unsent.locator("p")).to_have_text(["One", "Two", "Three"])
    await expect(ada.unsent.locator("small")).to_have_text(
        ["Sending …", "Waits for the message before", "Waits for the message before"]
    )
    await expect(ada.part("resolve")).to_be_disabled()  # what ends the talk waits for what is said in it
    for words in ("One", "Two", "Three"):
        route = await held.come.get()
        assert held.come.empty()
        await route.continue_()
        await visitor.sees(from_operator(words))
    await expect(ada.unsent).to_have_count(0)
    await expect(ada.part("resolve")).to_be_enabled()
    assert await said(stage, conversation) == ["One", "Two", "Three"]


async def test_a_message_whose_answer_was_lost_is_there_once(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(NETWORK)
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    tries = 0

    async def lose(route: Route) -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            await route.continue_()
            return
        await route.fetch()  # it is stored
        await route.abort()

    await ada.page.route(SAY, lose)
    await ada.says("Only once")
    await visitor.sees(from_operator("Only once"))
    await expect(ada.unsent).to_have_count(0)
    await expect(ada.texts.filter(has_text="Only once")).to_have_count(1)
    assert await said(stage, conversation) == ["Only once"]


async def refused(ada: ConsolePage, status: int = 409) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=status, json={"error": "not now"})

    await ada.page.route(SAY, refuse)


async def test_what_is_refused_says_so_and_is_tried_again_or_edited(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow("status of 409")
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    await refused(ada)
    await ada.says("First")
    await ada.says("Second")
    await expect(ada.unsent.locator("small")).to_have_text(
        ["Not sent: not now", "Waits for the message before"]
    )
    await ada.page.unroute(SAY)
    await ada.part("again").click()
    await visitor.sees(from_operator("First"), from_operator("Second"))
    await expect(ada.unsent).to_have_count(0)

    await refused(ada)
    await ada.says("Thrid")
    await expect(ada.unsent.locator("small")).to_have_text("Not sent: not now")
    await ada.editor.fill("and more")
    await ada.part("edit").click()
    await expect(ada.editor).to_have_value("Thrid\nand more")
    await expect(ada.unsent).to_have_count(0)
    await ada.page.unroute(SAY)
    await ada.says("Third")
    await visitor.sees(from_operator("Third"))
    assert await said(stage, conversation) == ["First", "Second", "Third"]


async def test_a_refusal_says_nothing_of_an_earlier_try(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    """The first try may have been stored: its answer was lost. So it is looked up, and is not there."""
    watch.allow(NETWORK)
    watch.allow("status of 413")
    ada = await people.operator("ada")
    _, conversation = await talking(people, ada)
    tries = 0

    async def lose(route: Route) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await route.abort()
        else:
            await route.fulfill(status=413, json={"error": "too much"})

    await ada.page.route(SAY, lose)
    await ada.says("Perhaps")
    await expect(ada.unsent.locator("small")).to_have_text("It is not known whether this was sent: too much")
    await ada.part("edit").click()
    await expect(ada.editor).to_have_value("Perhaps")
    await expect(ada.unsent).to_have_count(0)
    assert await said(stage, conversation) == []


async def test_what_may_have_been_sent_is_looked_for_before_it_is_edited(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    """The page was closed before the answer came, and comes back much later."""
    watch.allow(NETWORK)
    ada = await people.operator("ada")
    _, conversation = await talking(people, ada)
    held = HeldMessages()
    await ada.page.route(SAY, held)
    await ada.says("Was it sent?")
    route = await held.come.get()
    stored = route.request.post_data_json
    await ada.page.evaluate(
        """() => {
          const kept = JSON.parse(sessionStorage.getItem('switchboard.outbox'));
          kept.messages[0].time -= 3600000;
          sessionStorage.setItem('switchboard.outbox', JSON.stringify(kept));
        }"""
    )
    await ada.page.reload()
    await expect(ada.unsent.locator("small")).to_have_text(
        "It is not known whether this was sent: the page was closed"
    )
    answer = await ada.page.request.post(
        f"{stage.operator.url}/api/conversations/{conversation}/say",
        data=stored,
        headers={"Origin": stage.operator.url},
    )
    assert answer.status == 200, await answer.text()
    await expect(ada.texts.filter(has_text="Was it sent?")).to_have_count(1)
    await expect(ada.unsent).to_have_count(0)  # its line is there
    await expect(ada.editor).to_have_value("")
    assert await said(stage, conversation) == ["Was it sent?"]


async def test_a_reload_in_between_sends_it_once(people: People, stage: Stage, watch: PageWatch) -> None:
    watch.allow(NETWORK)
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    held = HeldMessages()
    await ada.page.route(SAY, held)
    await ada.says("One")
    await ada.says("Two")
    await (await held.come.get()).fetch()  # it is stored, and the page goes
    held.open = True  # for what the new page sends: "Two", and "One" if it did not hear that it is stored
    await ada.page.reload()
    await visitor.sees(from_operator("One"), from_operator("Two"))
    await expect(ada.texts.filter(has_text="One")).to_have_count(1)
    await expect(ada.unsent).to_have_count(0)
    assert await said(stage, conversation) == ["One", "Two"]


async def test_another_conversation_does_not_wait(people: People, stage: Stage) -> None:
    ada = await people.operator("ada")
    _, first = await talking(people, ada)
    held = HeldMessages()
    await ada.page.route(f"**/{first}/say", held)
    await ada.says("This hangs")
    await held.come.get()
    ada.lines.clear()
    other, second = await talking(people, ada)
    await expect(ada.unsent).to_have_count(0)
    await ada.says("This does not")
    await other.sees(from_operator("This does not"))
    await ada.looks_at("mine")
    await ada.opens(first)
    await expect(ada.unsent.locator("p")).to_have_text("This hangs")
    assert await said(stage, second) == ["This does not"]


async def test_a_text_that_is_too_long_is_told_and_kept(people: People) -> None:
    ada = await people.operator("ada")
    await talking(people, ada)
    await ada.editor.fill("€" * 6_000)
    await ada.editor.press("Enter")
    await expect(ada.notice).to_contain_text("too long")
    await expect(ada.editor).to_have_value("€" * 6_000)
    await expect(ada.unsent).to_have_count(0)


async def test_logging_out_asks_before_it_throws_words_away(people: People, watch: PageWatch) -> None:
    watch.allow("status of 409")
    ada = await people.operator("ada")
    await talking(people, ada)
    await refused(ada)
    await ada.says("Not yet sent")
    await expect(ada.part("again")).to_be_visible()
    await ada.part("logout").click()
    await ada.page.get_by_role("button", name="Stay").click()
    await expect(ada.unsent.locator("p")).to_have_text("Not yet sent")
    await ada.part("logout").click()
    await ada.page.keyboard.press("Escape")
    await expect(ada.part("desk")).to_be_visible()
    await ada.part("logout").click()
    await ada.part("leave-anyway").click()
    await expect(ada.part("login")).to_be_visible()
    await ada.logs_in("ada")
    await ada.looks_at("mine")
    await expect(ada.unsent).to_have_count(0)


async def test_logging_out_asks_while_visitors_wait_for_an_answer(people: People) -> None:
    ada = await people.operator("ada")
    await talking(people, ada)
    await ada.part("logout").click()
    await expect(ada.part("unsent-question")).to_contain_text("You still have")
    await ada.page.get_by_role("button", name="Stay").click()
    await expect(ada.owner).to_have_text("With you")
    await ada.part("logout").click()
    await ada.part("leave-anyway").click()
    await expect(ada.part("login")).to_be_visible()


async def test_a_console_answers_a_heartbeat(people: People) -> None:
    """By that it is known that somebody is there, whatever else an open feed looks like."""
    ada = await people.operator("ada")
    async with ada.page.expect_response("**/api/presence") as answer:
        pass
    assert (await answer.value).status == 200


async def test_while_another_conversation_is_read_nothing_can_be_done(people: People) -> None:
    """Header, lines, draft and buttons are always of the same conversation."""
    ada = await people.operator("ada")
    _, first = await talking(people, ada)
    ada.lines.clear()
    await talking(people, ada)
    held = HeldMessages()
    await ada.page.route(f"**/api/conversations/{first}", held)
    await ada.looks_at("mine")
    await ada.row(first).click()
    route = await held.come.get()
    await expect(ada.part("title")).to_have_text("")
    await expect(ada.owner).to_have_text("Loading …")
    for role in ("claim", "resolve", "release", "handback", "transfer", "snooze", "spam", "priority"):
        await expect(ada.part(role)).to_be_hidden()
    await expect(ada.editor).to_be_disabled()
    await expect(ada.texts).to_have_count(0)
    await route.continue_()
    await expect(ada.owner).to_have_text("With you")
    await expect(ada.part("resolve")).to_be_enabled()
