"""A person takes over: both sides in the browser."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Route, expect

from shared.contract.facts import ConversationClaimed, ConversationRated, RatingAsked
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, ConsolePage, from_bot, from_operator, from_visitor, note
from tests.journeys.stage import Stage
from tests.journeys.tour import BACK, BYE, CALLING, MENU, MENU_AT_DESK, OPEN, WELCOME, WELCOME_AT_DESK
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_the_flow_asks_for_a_person_who_hands_back(people: People, stage: Stage) -> None:
    ada = await people.operator("ada")
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    await expect(visitor.waiting).to_be_visible()
    await visitor.sees_prompt("Write a message ...", open=True)
    await visitor.types("Is somebody there?")
    await visitor.sees_the_same()

    conversation = await visitor.conversation()
    await ada.looks_at("queue")
    await expect(ada.row(conversation)).to_contain_text("Waiting in “tour”")
    await ada.opens(conversation)
    await ada.sees(
        from_bot(WELCOME_AT_DESK, MENU_AT_DESK),
        from_visitor("A person, and back"),
        from_bot(CALLING),
        note("Waiting for a person in “tour”: A guest of the tour"),
        from_visitor("Is somebody there?"),
    )

    await ada.takes_over()
    await ada.sees(note("Ada took over"))
    await expect(ada.row(conversation)).to_have_count(0)  # nobody waits any more
    await ada.looks_at("mine")
    await expect(ada.row(conversation)).to_contain_text("With you")
    await visitor.sees(note("Ada joined"))
    await expect(visitor.waiting).to_be_hidden()

    await ada.editor.press_sequentially("H")
    await expect(visitor.typing).to_be_visible()
    await ada.says("Hello, I'm Ada.")
    await visitor.sees(from_operator("Hello, I'm Ada."))
    await expect(visitor.typing).to_be_hidden()
    await visitor.editor.press_sequentially("W")
    await expect(ada.typing).to_be_visible()
    await visitor.types("What a nice tour!")
    await ada.sees(from_visitor("What a nice tour!"))
    await expect(ada.typing).to_be_hidden()
    await ada.editor.press_sequentially("I")
    await expect(visitor.typing).to_be_visible()
    await ada.says("I think so too.")
    await visitor.sees(from_operator("I think so too."))
    await visitor.types("Thanks")
    await ada.sees(from_visitor("Thanks"))

    await ada.hands_back()
    await visitor.sees(note("Ada left"), from_bot(BACK, MENU))
    await visitor.sees_prompt("Choose an option", open=False)
    await ada.sees(note("Ada handed back to the bot"), from_bot(BACK, MENU_AT_DESK))
    await visitor.picks("The end")
    await visitor.hears(BYE)
    await visitor.reloads()
    await visitor.sees_the_same()

    authors = await stage.authors(conversation)
    talk = ["visitor", "operator", "operator", "visitor", "operator", "visitor", "operator", "bot"]
    assert authors == ["visitor", "bot", "visitor", "bot", *talk, "visitor", "bot"]  # silent in between


async def test_a_claim_that_nobody_asked_for_and_the_question_asked_again(people: People) -> None:
    ada = await people.operator("ada")
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    await visitor.sees_prompt("Type anything ...", open=True)

    await ada.looks_at("live")
    await ada.opens(await visitor.conversation())
    await ada.sees(from_bot(WELCOME_AT_DESK, MENU_AT_DESK), from_visitor("The editor"), from_bot(OPEN))
    await ada.takes_over()
    await ada.sees(note("Ada took over"))
    await visitor.sees(note("Ada joined"))
    await visitor.sees_prompt("Write a message ...", open=True)
    await visitor.types("Who are you?")
    await ada.sees(from_visitor("Who are you?"))
    await ada.says("Ada. I only wanted to say hello.")
    await visitor.sees(from_operator("Ada. I only wanted to say hello."))

    await visitor.reloads()
    await visitor.sees_the_same()
    await ada.hands_back()
    await visitor.sees(note("Ada left"), from_bot(OPEN))  # what the flow was asking, again
    await visitor.sees_prompt("Type anything ...", open=True)


async def test_choices_rest_while_a_person_has_the_conversation(people: People) -> None:
    ada = await people.operator("ada")
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await ada.looks_at("live")
    await ada.opens(await visitor.conversation())
    await ada.takes_over()
    await visitor.sees(note("Ada joined"))
    await expect(visitor.choices).to_have_count(3)
    for choice in await visitor.choices.all():
        await expect(choice).to_be_disabled()

    offered = ada.part("handback-state").locator("option")
    await expect(offered).to_have_text(["where it was", "The menu", "Good-bye"])
    await ada.hands_back("bye")  # somewhere else in the flow
    await visitor.sees(note("Ada left"), from_bot(BYE))


async def test_who_is_put_back_into_the_queue_is_served_by_another(people: People) -> None:
    ada, bob = await people.operator("ada"), await people.operator("bob")
    visitor = await waiting_visitor(people, ada, bob)
    await ada.takes_over()
    await visitor.sees(note("Ada joined"))
    await ada.releases()
    await expect(ada.part("release")).to_be_hidden()
    await visitor.sees(note("Ada left"))
    await bob.takes_over()
    await visitor.sees(note("Bob joined"))
    await bob.says("Now I am here")
    await visitor.sees(from_operator("Now I am here"))


async def test_a_visitor_who_starts_over_is_with_the_bot_again(people: People) -> None:
    ada = await people.operator("ada")
    visitor = await waiting_visitor(people, ada)
    await ada.takes_over()
    await visitor.sees(note("Ada joined"))
    await visitor.starts_over()
    await visitor.hears(WELCOME, MENU)
    await visitor.sees_prompt("Choose an option", open=False)

    ada.lines.clear()
    await ada.sees(from_bot(WELCOME_AT_DESK, MENU_AT_DESK))
    await expect(ada.owner).to_contain_text("With the bot")
    await expect(ada.editor).to_be_disabled()
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    await ada.sees(from_visitor("The editor"), from_bot(OPEN))


async def takes_over_at_last(desk: ConsolePage, gate: asyncio.Event) -> None:
    """Press the button; the request leaves once the gate opens."""

    async def hold(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await desk.page.route("**/claim", hold)
    async with desk.page.expect_request("**/claim"):
        await desk.claim.click()


async def waiting_visitor(people: People, *desks: ConsolePage) -> ChatPage:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    for desk in desks:
        await desk.looks_at("queue")
        await desk.opens(await visitor.conversation())
        await expect(desk.claim).to_be_visible()
    return visitor


async def test_who_comes_second_is_told_who_was_first(people: People, watch: PageWatch) -> None:
    watch.allow("status of 409 .*/claim$")
    ada, bob = await people.operator("ada"), await people.operator("bob")
    visitor = await waiting_visitor(people, ada, bob)
    gate = asyncio.Event()
    await takes_over_at_last(bob, gate)
    await ada.takes_over()
    gate.set()
    await expect(bob.notice).to_have_text("Taken by Ada")
    await expect(bob.owner).to_have_text("With Ada")
    await expect(bob.editor).to_be_disabled()
    await visitor.sees(note("Ada joined"))


async def test_of_two_claims_at_once_one_wins(people: People, stage: Stage, watch: PageWatch) -> None:
    watch.allow("status of 409 .*/claim$")
    ada, bob = await people.operator("ada"), await people.operator("bob")
    visitor = await waiting_visitor(people, ada, bob)
    gate = asyncio.Event()
    await asyncio.gather(takes_over_at_last(ada, gate), takes_over_at_last(bob, gate))
    gate.set()
    await expect(ada.owner).not_to_have_text("Waiting in “tour”")
    (claimed,) = await stage.facts(await visitor.conversation(), ConversationClaimed)
    assert isinstance(claimed, ConversationClaimed)
    winner, loser = (ada, bob) if claimed.operator == "ada" else (bob, ada)
    await expect(winner.owner).to_have_text("With you")
    await expect(winner.notice).to_be_hidden()
    await expect(loser.notice).to_have_text(f"Taken by {claimed.name}")
    await visitor.sees(note(f"{claimed.name} joined"))


async def test_a_closed_conversation_is_opened_again_by_a_text(people: People) -> None:
    ada = await people.operator("ada")
    visitor = await waiting_visitor(people, ada)
    await ada.takes_over()
    await ada.resolves()
    await expect(visitor.closed).to_be_visible()
    await visitor.sees(note("Ada joined"), note("Ada left"))
    await visitor.types("One more thing")
    await expect(visitor.waiting).to_be_visible()
    await expect(visitor.closed).to_be_hidden()
    await ada.takes_over()
    await ada.says("Tell me")
    await visitor.sees(note("Ada joined"), from_operator("Tell me"))


async def test_a_closed_conversation_is_rated_and_begun_anew(people: People, stage: Stage) -> None:
    ada = await people.operator("ada")
    visitor = await waiting_visitor(people, ada)
    conversation = await visitor.conversation()
    await ada.takes_over()
    await ada.says("Solved, I hope?")
    await visitor.sees(note("Ada joined"), from_operator("Solved, I hope?"))
    await ada.resolves()
    await expect(ada.owner).to_have_text("Resolved by an operator")

    await visitor.sees(note("Ada left"))
    await expect(visitor.closed).to_be_visible()
    await visitor.sees_prompt("Write to open it again ...", open=True)
    await visitor.stars.nth(3).click()
    await expect(visitor.lit).to_have_count(4)
    await expect(visitor.stars.first).to_be_disabled()
    await expect(ada.texts.last).to_have_text("Rated 4 of 5")
    (rated,) = await stage.facts(conversation, ConversationRated)
    assert rated == ConversationRated(score=4)

    await visitor.reloads()
    await visitor.sees_the_same()
    await expect(visitor.closed).to_be_visible()
    await expect(visitor.stars.first).to_be_disabled()  # rated once
    await visitor.starts_anew()
    await visitor.hears(WELCOME, MENU)
    await expect(visitor.closed).to_be_hidden()
    await visitor.picks("The end")
    await visitor.hears(BYE)
    await visitor.reloads()
    await visitor.sees_the_same()


async def test_an_operator_asks_how_it_was_and_the_visitor_says_so_while_they_talk(
    people: People, stage: Stage
) -> None:
    ada = await people.operator("ada")
    visitor = await waiting_visitor(people, ada)
    conversation = await visitor.conversation()
    await ada.takes_over()
    await expect(visitor.stars.first).to_be_hidden()
    await ada.part("ask-rating").click()
    await expect(ada.texts.last).to_have_text("Ada asked for a rating")
    await expect(ada.part("ask-rating")).to_be_disabled()
    await expect(ada.part("ask-rating")).to_have_text("Asked how it was")

    await expect(visitor.stars.first).to_be_visible()
    await expect(visitor.restart).to_be_hidden()  # it goes on
    await visitor.stars.nth(4).click()
    await expect(ada.texts.last).to_have_text("Rated 5 of 5")
    await expect(ada.part("ask-rating")).to_have_text("Has rated")
    await visitor.types("That was quick")
    await expect(ada.texts.last).to_have_text("That was quick")
    await visitor.reloads()
    await expect(visitor.stars.first).to_be_disabled()
    assert len(await stage.facts(conversation, RatingAsked)) == 1


async def test_thanks_leave_a_closed_conversation_closed(people: People) -> None:
    ada = await people.operator("ada")
    visitor = await waiting_visitor(people, ada)
    await ada.takes_over()
    await ada.resolves()
    await expect(visitor.closed).to_be_visible()
    await visitor.sees(note("Ada joined"), note("Ada left"))
    await visitor.types("Thank you so much!")
    await visitor.sees_the_same()
    await expect(ada.texts.last).to_have_text("Taken as thanks: this stays resolved")
    await expect(visitor.closed).to_be_visible()
    await expect(visitor.waiting).to_be_hidden()
    await visitor.types("And my invoice?")
    await expect(visitor.waiting).to_be_visible()
