"""What operators note about a conversation and do with it, in the console."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from shared.contract.desk_facts import NoteWritten
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, ConsolePage, note
from tests.journeys.stage import Stage
from tests.journeys.test_console_outbox import HeldMessages, talking
from tests.journeys.tour import CALLING, MENU, WELCOME
from tests.journeys.watch import NETWORK, PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def waiting(people: People) -> tuple[ChatPage, str]:
    """A visitor who waits for a person."""
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    return visitor, await visitor.conversation()


async def looks_at_waiting(people: People, ada: ConsolePage) -> tuple[ChatPage, str]:
    visitor, conversation = await waiting(people)
    await ada.looks_at("queue")
    await ada.opens(conversation)
    await expect(ada.part("claim")).to_be_visible()
    return visitor, conversation


async def test_a_note_is_for_colleagues_alone(people: People, stage: Stage) -> None:
    """Bob, who has the same conversation open, sees it come; the visitor never does."""
    ada, bob = await people.operator("ada"), await people.operator("bob")
    visitor, conversation = await talking(people, ada)
    await bob.looks_at("live")
    await bob.opens(conversation)
    await expect(bob.owner).to_have_text("With Ada")
    await ada.notes_down("Wants a refund. @bob knows the case")
    await expect(ada.editor).to_have_value("")
    await expect(bob.notes).to_have_text("Wants a refund. @bob knows the case")
    (written,) = await stage.facts(conversation, NoteWritten)
    assert isinstance(written, NoteWritten)
    assert written.mentions == ("bob",)
    await bob.notes_down("It was paid back on Monday")  # whoever has the conversation
    await expect(ada.notes).to_have_text(
        ["Wants a refund. @bob knows the case", "It was paid back on Monday"]
    )
    await ada.part("remove-note").click()  # only her own has a button
    await expect(ada.notes).to_have_text(["It was paid back on Monday"])
    await expect(bob.notes).to_have_text(["It was paid back on Monday"])
    await ada.part("kind-reply").click()
    await ada.says("It was paid back")
    await visitor.sees([("operator", "It was paid back")])
    await visitor.reloads()
    await visitor.sees_the_same()


async def test_a_note_whose_answer_was_lost_is_there_once(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(NETWORK)
    ada = await people.operator("ada")
    _, conversation = await looks_at_waiting(people, ada)
    lost = 0

    async def lose(route: Route) -> None:
        nonlocal lost
        lost += 1
        if lost > 1:
            await route.continue_()
            return
        await route.fetch()  # it is stored
        await route.abort()

    await ada.page.route("**/note", lose)
    await ada.notes_down("Only once")
    await expect(ada.notes).to_have_text(["Only once"])
    await expect(ada.editor).to_have_value("")
    assert len(await stage.facts(conversation, NoteWritten)) == 1


async def test_a_note_that_is_refused_stays_where_it_was_written(people: People, watch: PageWatch) -> None:
    watch.allow("status of 409")
    ada = await people.operator("ada")
    _, first = await looks_at_waiting(people, ada)
    _, second = await waiting(people)

    async def refuse(route: Route) -> None:
        await route.fulfill(status=409, json={"detail": "not now"})

    await ada.page.route("**/note", refuse)
    await ada.notes_down("Not lost")
    await expect(ada.notice).to_have_text("not now")
    await expect(ada.editor).to_have_value("Not lost")
    await ada.opens(second)
    await expect(ada.editor).to_have_value("")
    await ada.opens(first)
    await expect(ada.editor).to_have_value("Not lost")
    await ada.page.reload()
    await ada.looks_at("queue")
    await ada.opens(first)
    await ada.part("kind-note").click()
    await expect(ada.editor).to_have_value("Not lost")


async def test_labels_and_priority_are_seen_by_all_and_undone(people: People) -> None:
    ada, bob = await people.operator("ada"), await people.operator("bob")
    _, conversation = await looks_at_waiting(people, ada)
    await bob.looks_at("queue")
    await ada.part("label-text").fill("refund")
    await ada.part("label-text").press("Enter")
    await expect(bob.row(conversation).locator(".mark.label")).to_have_text("refund")
    await ada.part("priority").select_option("urgent")
    await expect(bob.row(conversation).locator(".mark.priority")).to_have_text("Urgent")
    await expect(ada.toast).to_contain_text("Priority: Urgent")
    await ada.undoes()
    await expect(bob.row(conversation).locator(".mark.priority")).to_have_count(0)
    await expect(ada.part("priority")).to_have_value("normal")
    await bob.part("filter-label").select_option("refund")
    assert await bob.rows_in_list() == [conversation]
    await bob.part("filter-label").select_option("")
    await ada.part("unlabel").click()
    await expect(bob.row(conversation).locator(".mark")).to_have_count(0)


async def test_the_urgent_stands_at_the_top_but_nothing_moves_under_the_pointer(people: People) -> None:
    ada, bob = await people.operator("ada"), await people.operator("bob")
    _, first = await waiting(people)
    _, second = await waiting(people)
    _, third = await waiting(people)
    await ada.looks_at("queue")
    await expect(ada.row(third)).to_be_visible()
    await ada.row(first).hover()
    before = await ada.rows_in_list()
    await bob.looks_at("queue")
    await bob.opens(second)
    await bob.part("priority").select_option("urgent")
    await expect(ada.row(second).locator(".mark.priority")).to_be_visible()
    assert await ada.rows_in_list() == before  # she points at it
    await bob.opens(first)
    await bob.takes_over()
    await expect(ada.row(first).locator("[data-role=row-owner]")).to_have_text("With Bob")
    assert await ada.rows_in_list() == before  # what is gone from this list, too
    await ada.part("help").hover()
    await expect(ada.row(first)).to_have_count(0)
    after = await ada.rows_in_list()
    assert after.index(second) < after.index(third)
    assert before.index(first) < before.index(second) < before.index(third)


async def test_what_is_snoozed_comes_back_with_the_visitors_word(people: People) -> None:
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    await ada.says("I will ask, and be back tomorrow")
    await ada.part("snooze").click()
    await ada.part("snooze-tomorrow").click()
    await ada.looks_at("mine")
    await expect(ada.row(conversation)).to_have_count(0)
    await ada.looks_at("snoozed")
    await expect(ada.row(conversation).locator("[data-role=row-when]")).to_have_text(re.compile("until"))
    await expect(ada.part("count").locator("visible=true").last).to_have_text("1")
    await ada.undoes()
    await expect(ada.row(conversation)).to_have_count(0)
    await ada.part("snooze").click()
    await ada.part("snooze-inAnHour").click()
    await expect(ada.row(conversation)).to_be_visible()
    await visitor.sees([("operator", "I will ask, and be back tomorrow")])
    await visitor.types("It is urgent!")
    await expect(ada.row(conversation)).to_have_count(0)
    await ada.looks_at("mine")
    await expect(ada.row(conversation).locator("[data-role=last-line]")).to_have_text("It is urgent!")


async def test_a_conversation_is_passed_on_to_a_colleague_with_a_note(people: People) -> None:
    ada, bob = await people.operator("ada"), await people.operator("bob")
    visitor, conversation = await talking(people, ada)
    await ada.part("transfer").click()
    option = ada.part("transfer-to").locator("option[value='operator:bob']")
    await expect(option).to_have_text("Bob (is here)")
    await ada.part("transfer-to").select_option("operator:bob")
    await ada.part("transfer-note").fill("He knows you")
    await ada.part("transfer-go").click()
    await expect(ada.owner).to_have_text("With Bob")
    await expect(ada.editor).to_be_disabled()
    await bob.looks_at("mine")
    await bob.opens(conversation)
    await expect(bob.owner).to_have_text("With you")
    await expect(bob.texts.last).to_have_text("Ada passed this on to Bob: He knows you")
    await visitor.sees(note("Bob joined"))


async def test_resolving_without_a_word_and_what_waits_next(people: People) -> None:
    ada = await people.operator("ada")
    _, conversation = await looks_at_waiting(people, ada)
    _, other = await waiting(people)
    await ada.part("spam").click()
    await expect(ada.row(conversation).locator(".mark.spam")).to_be_visible()
    await ada.resolves()
    await expect(ada.owner).to_have_text("Resolved by an operator")
    await expect(ada.part("next")).to_be_visible()
    await ada.undoes()  # reopened: it is hers
    await expect(ada.owner).to_have_text("With you")
    await ada.resolves()
    await ada.part("next").click()
    await expect(ada.part("claim")).to_be_visible()
    await expect(ada.row(other)).to_be_visible()


async def test_a_supervisor_takes_over_from_anyone(people: People, stage: Stage, watch: PageWatch) -> None:
    watch.allow("status of 409")
    await stage.account("sue", "Sue", "supervisor")
    ada, bob, sue = [await people.operator(name) for name in ("ada", "bob", "sue")]
    visitor, conversation = await talking(people, ada)
    for desk in (bob, sue):
        await desk.looks_at("live")
        await desk.opens(conversation)
        await expect(desk.owner).to_have_text("With Ada")
    await expect(bob.part("claim")).to_have_text("Take over")
    await bob.part("claim").click()
    await expect(bob.notice).to_have_text("Taken by Ada")
    await sue.page.get_by_role("button", name="Take over from Ada").click()
    await expect(sue.owner).to_have_text("With you")
    await expect(ada.owner).to_have_text("With Sue")
    await visitor.sees(note("Sue joined"))


async def test_a_day_with_the_keys_alone(people: People, stage: Stage) -> None:
    ada = await people.operator("ada")
    visitor, conversation = await waiting(people)
    keys = ada.page.keyboard
    await stage.saves(conversation, name="Keyes Keyboard")
    await keys.press("f")
    await keys.type("keyes keyb")
    await keys.press("Enter")
    await expect(ada.part("found")).to_have_text("Found in 1")
    await keys.press("Tab")  # out of the field: letters are keys again
    await keys.press("j")
    await expect(ada.row(conversation)).to_have_attribute("aria-current", "true")
    await expect(ada.part("claim")).to_be_visible()
    await keys.press("1")
    await expect(ada.page.locator("[data-role=tab][data-view=queue]")).to_have_attribute(
        "aria-selected", "true"
    )
    await keys.press("c")
    await expect(ada.owner).to_have_text("With you")
    await keys.press("r")
    await expect(ada.editor).to_be_focused()
    await keys.type("Hello, c is no command here")
    await keys.press("Enter")
    await visitor.sees(note("Ada joined"), [("operator", "Hello, c is no command here")])
    await keys.press("Escape")
    await expect(ada.editor).not_to_be_focused()
    await keys.press("?")
    await expect(ada.part("help-dialog")).to_be_visible()
    await keys.press("Escape")
    await expect(ada.part("help-dialog")).to_be_hidden()
    await keys.press("n")
    await keys.type("with the keys")
    await keys.press("Enter")
    await expect(ada.notes).to_have_text("with the keys")
    await keys.press("Escape")
    await keys.press("l")
    await keys.type("vip")
    await keys.press("Enter")
    await expect(ada.part("labels")).to_contain_text("vip")
    await keys.press("Escape")
    await keys.press("s")
    await expect(ada.part("snooze-dialog")).to_be_visible()
    await keys.press("Escape")
    await expect(ada.part("snooze-dialog")).to_be_hidden()
    await expect(ada.part("resolve")).to_be_enabled()  # the label is stored by now
    await keys.press("e")
    await expect(ada.owner).to_have_text("Resolved by an operator")
    await keys.press("u")
    await expect(ada.owner).to_have_text("With you")


async def test_keys_of_one_letter_can_be_switched_off(people: People) -> None:
    ada = await people.operator("ada")
    await looks_at_waiting(people, ada)
    await ada.part("help").click()
    await ada.part("set-keys").uncheck()
    await ada.page.keyboard.press("Escape")
    for key in ("c", "2", "s"):
        await ada.page.keyboard.press(key)
    await ada.part("snooze").click()  # what comes after them is done, and nothing before
    await expect(ada.part("snooze-dialog")).to_be_visible()
    await ada.page.keyboard.press("Escape")
    await expect(ada.page.locator("[data-role=tab][data-view=queue]")).to_have_attribute(
        "aria-selected", "true"
    )
    await expect(ada.part("claim")).to_be_visible()
    await ada.page.reload()
    await ada.part("help").click()
    await expect(ada.part("set-keys")).not_to_be_checked()


async def test_what_the_flow_has_saved_is_on_the_card_and_names_the_visitor(
    people: People, stage: Stage
) -> None:
    ada = await people.operator("ada")
    _, conversation = await looks_at_waiting(people, ada)
    alias = await ada.part("title").inner_text()
    assert re.fullmatch(r"[A-Z][a-z]+ [A-Z][a-z]+ \d\d", alias)
    await expect(ada.row(conversation).locator("[data-role=row-visitor]")).to_have_text(alias)
    await stage.saves(conversation, name="Grace <Hopper>", order=1906)
    await expect(ada.row(conversation).locator("[data-role=row-visitor]")).to_have_text("Grace <Hopper>")
    await expect(ada.part("title")).to_have_text("Grace <Hopper>")
    await ada.opens(conversation)
    await expect(ada.part("variables")).to_contain_text("1906")


async def types_on(visitor: ChatPage) -> None:
    """Something happens in another conversation, several times a second."""
    while True:
        await visitor.types("And another thing")
        await asyncio.sleep(0.2)


async def test_unread_is_marked_until_somebody_has_looked(people: People) -> None:
    ada = await people.operator("ada")
    visitor, first = await talking(people, ada)
    await ada.says("Yes?")
    await visitor.sees([("operator", "Yes?")])
    ada.lines.clear()
    other, _ = await talking(people, ada)
    await ada.looks_at("mine")
    await visitor.types("Are you there?")
    await expect(ada.row(first).locator("[data-role=unread]")).to_be_visible()
    await ada.opens(first)
    busy = asyncio.create_task(types_on(other))  # a desk is never quiet
    await expect(ada.row(first).locator("[data-role=unread]")).to_have_count(0)
    busy.cancel()


async def test_links_open_elsewhere_and_take_nothing_along(people: People) -> None:
    ada = await people.operator("ada")
    visitor, _ = await talking(people, ada)
    await visitor.types("See https://example.com/a(b)?c=d, please. javascript:alert(1) <b>https://x.test</b>")
    words = ada.rows.filter(has_text="example.com")
    link = words.locator("a").first
    await expect(link).to_have_attribute("href", "https://example.com/a(b)?c=d")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(link).to_have_attribute("target", "_blank")
    assert await words.locator("a").count() == 2


async def test_a_dialog_is_about_the_conversation_for_which_it_was_opened(people: People) -> None:
    """Whatever is opened behind it: a notification of the browser may be clicked."""
    ada = await people.operator("ada")
    _, first = await looks_at_waiting(people, ada)
    _, second = await waiting(people)
    await ada.part("snooze").click()
    await expect(ada.row(second)).to_be_attached()
    await ada.row(second).evaluate("row => row.click()")
    await expect(ada.row(second)).to_have_attribute("aria-current", "true")
    await ada.part("snooze-inAnHour").click()
    await ada.looks_at("snoozed")
    await expect(ada.row(first)).to_be_visible()
    await expect(ada.row(second)).to_have_count(0)


async def test_who_is_picked_stays_picked_when_others_come_and_go(people: People) -> None:
    ada = await people.operator("ada")
    await talking(people, ada)
    held = HeldMessages()
    await ada.page.route("**/api/operators", held)
    await ada.part("transfer").click()
    answer = await held.come.get()
    await ada.part("transfer-to").select_option("operator:bob")
    found = (await (await answer.fetch()).json())["operators"]
    for each in found:
        each["here"] = each["name"] != "bob"  # Bob moves to the end
    more = [{"name": "abe", "display": "Abe", "role": "operator", "here": True}]
    await answer.fulfill(json={"operators": more + found})
    await expect(ada.part("transfer-to").locator("option[value='operator:abe']")).to_be_attached()
    await expect(ada.part("transfer-to")).to_have_value("operator:bob")


async def test_nothing_that_was_erased_is_left_for_screen_readers(people: People, stage: Stage) -> None:
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    await visitor.types("My secret is Rumpelstilz")
    await expect(ada.part("announced")).to_contain_text("Rumpelstilz")
    await stage.erases(conversation)
    await expect(ada.part("nothing")).to_have_text("What was said in this conversation was erased.")
    # Its line in the list follows a moment later.
    await ada.page.wait_for_function("!document.documentElement.outerHTML.includes('Rumpelstilz')")


async def test_a_reading_that_fails_is_tried_again_and_loses_no_line(
    people: People, watch: PageWatch
) -> None:
    watch.allow(NETWORK)
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    failing = HeldMessages()
    await ada.page.route(f"**/{conversation}/desk", failing)
    await ada.page.evaluate("dispatchEvent(new Event('online'))")  # the feed begins again
    route = await failing.come.get()
    await visitor.types("Said meanwhile")
    await route.fulfill(status=503, json={"error": "not now"})
    failing.open = True
    await visitor.types("Said afterwards")
    await expect(ada.texts.filter(has_text="Said")).to_have_text(["Said meanwhile", "Said afterwards"])
    await expect(ada.notice).to_be_hidden()


async def test_a_filter_that_filters_can_be_seen(people: People) -> None:
    ada = await people.operator("ada")
    _, conversation = await looks_at_waiting(people, ada)
    await ada.part("label-text").fill("medlar")
    await ada.part("label-text").press("Enter")
    await ada.part("filter-label").select_option("medlar")
    await expect(ada.row(conversation)).to_be_visible()
    await ada.part("unlabel").click()
    await ada.part("help").hover()
    await expect(ada.row(conversation)).to_have_count(0)
    await expect(ada.part("filter-label")).to_have_value("medlar")
    await ada.part("filter-label").select_option("")
    await expect(ada.row(conversation)).to_be_visible()
