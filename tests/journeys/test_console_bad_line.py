"""The console's laws on a bad line: what it asks is late, turned away, or done without an answer."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Error, Route, expect

from shared.contract.desk_facts import NoteWritten
from shared.contract.facts import ConversationResolved, OperatorSaid
from tests.journeys.conftest import People
from tests.journeys.pages import ConsolePage, from_operator, note
from tests.journeys.stage import Stage
from tests.journeys.test_console_desk import waiting
from tests.journeys.watch import NETWORK, PageWatch
from tests.journeys.wire import BrowserWire
from tests.processes import Service

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: Watches each change of the page: whatever is said or written in a conversation begins with its name, so
#: nothing of one may stand under the header of another, nor be sent there.
ORACLE = """names => {
  window.wrong = [];
  const look = () => {
    const shown = document.querySelector("[data-role=title]")?.textContent;
    const name = names[shown];
    if (!name) return;
    const own = (text) => !/^(one|two)-/.test(text) || text.startsWith(`${name}-`);
    for (const line of document.querySelectorAll("[data-role=transcript] p, textarea[data-role=say-text]")) {
      const text = line.value ?? line.textContent;
      if (!own(text)) window.wrong.push(`${text} under ${shown}`);
    }
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


class BadLine:
    """What becomes of each request of a console, by chance; the feed of events is cut now and then.

    ``wrong`` is what was sent to a conversation that it was not written in.
    """

    def __init__(self, chance: random.Random, names: dict[str, str]) -> None:
        self._chance = chance
        self._names = names
        self.bad = True
        self.met: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def __call__(self, route: Route) -> None:
        request = route.request
        body = json.loads(request.post_data or "{}") if request.method == "POST" else {}
        for id, name in self._names.items():
            text = str(body.get("text") or "")
            if id in request.url and text and not text.startswith(name):
                self.wrong.append(f"{text} to {name}")
        kinds = ("well", "late", "very late", "lost", "busy", "cut")
        kind = self._chance.choices(kinds, (8, 4, 1, 3, 2, 1))[0] if self.bad else "well"
        self.met[kind] += 1
        try:
            match kind:
                case "late" | "very late":
                    await asyncio.sleep(self._chance.uniform(0.2, 1.0) if kind == "late" else 5.0)
                    await route.continue_()
                case "lost":
                    await route.fetch()  # done, and nobody hears of it
                    await route.abort()
                case "busy":
                    problem = {"error": "the log does not answer in time, try again"}
                    await route.fulfill(status=503, json=problem, headers={"Retry-After": "1"})
                case "cut":
                    await route.abort()
                case _:
                    await route.continue_()
        except Error:
            pass  # the page does not want it any more


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("SWITCHBOARD_TEST_SEED") or random.randrange(10**6))
    print(f"SWITCHBOARD_TEST_SEED={seed} repeats this run")
    return random.Random(seed)


async def texts(stage: Stage, conversation: str) -> list[str]:
    """What the operator has said and noted, in the order of the log, and each as often as it is there."""
    said = [*await stage.facts(conversation, OperatorSaid), *await stage.facts(conversation, NoteWritten)]
    return [fact.text for fact in said if isinstance(fact, OperatorSaid | NoteWritten)]


@pytest.mark.timeout(300)
async def test_on_a_bad_line_what_you_see_is_what_you_act_on_and_every_word_arrives_once(
    people: People, stage: Stage, watch: PageWatch, chance: random.Random
) -> None:
    watch.allow(NETWORK)
    watch.allow("status of 409")
    await stage.account("carol", "Carol")
    async with BrowserWire(stage.operator.port) as wire:
        carol = ConsolePage(await people.page())
        await carol.page.goto(wire.url)
        await carol.logs_in("carol")
        talks: dict[str, str] = {}
        shown: dict[str, str] = {}
        for name in ("one", "two"):
            _, talks[name] = await waiting(people)
            await carol.looks_at("queue")
            await carol.opens(talks[name])
            await carol.takes_over()
            shown[await carol.part("title").inner_text()] = name
        await carol.looks_at("mine")
        await carol.page.evaluate(ORACLE, shown)
        line = BadLine(chance, {id: name for name, id in talks.items()})
        await carol.page.route("**/api/conversations/*/**", line)
        await carol.page.route("**/api/conversations/*", line)

        sent: dict[str, list[str]] = {"one": [], "two": []}
        noted: dict[str, list[str]] = {"one": [], "two": []}
        draft = {"one": "", "two": ""}
        for step in range(20):
            name = chance.choice(("one", "two"))
            await carol.row(talks[name]).click()
            await expect(carol.editor).to_be_enabled()
            await expect(carol.editor).to_have_value(draft[name])
            match chance.choice(("say", "say", "type", "note", "look", "cut")):
                case "say":
                    text = f"{name}-{step}"
                    await carol.editor.fill(text)
                    await carol.editor.press("Enter")
                    sent[name].append(text)
                    draft[name] = ""
                case "type":
                    draft[name] = f"{name}-{step} is being written"
                    await carol.editor.fill(draft[name])
                case "note":
                    text = f"{name}-{step} noted"
                    await carol.part("kind-note").click()
                    await carol.editor.fill(text)
                    await carol.editor.press("Enter")
                    noted[name].append(text)
                    await keeps_noting(carol, text)
                    await carol.part("kind-reply").click()
                case "cut":
                    wire.cuts()

        line.bad = False
        for name, id in talks.items():
            await carol.row(id).click()
            await all_sent(carol)
            await expect(carol.editor).to_have_value(draft[name])
            assert await texts(stage, id) == [*sent[name], *noted[name]], line.met
            await expect(carol.texts.filter(has_text=f"{name}-")).to_have_text(sent[name])
        assert line.wrong == []
        assert await carol.page.evaluate("window.wrong") == []
        assert line.met["lost"] > 0
        await carol.page.reload()
        for name, id in talks.items():
            await carol.looks_at("mine")
            await carol.row(id).click()
            await expect(carol.editor).to_have_value(draft[name])


async def test_what_is_done_while_the_page_is_slow_is_done_to_what_was_seen_or_not_at_all(
    people: People, stage: Stage
) -> None:
    """Somebody quick chooses another conversation and presses a key, before the browser has drawn anew."""
    await stage.account("flo", "Flo")
    flo = await people.operator("flo")
    talks = []
    for _ in range(2):
        _, conversation = await waiting(people)
        talks.append(conversation)
        await flo.looks_at("queue")
        await flo.opens(conversation)
        await flo.takes_over()
    await flo.looks_at("mine")
    await expect(flo.row(talks[0])).to_be_visible()
    await flo.page.evaluate(
        """id => {
          window.requestAnimationFrame = (draw) => setTimeout(draw, 2000);
          document.querySelector(`[data-role=row][data-id="${id}"]`).click();
          document.activeElement?.blur();
        }""",
        talks[0],
    )
    await flo.page.keyboard.press("e")
    await expect(flo.editor).to_be_enabled()
    for conversation in talks:
        assert await stage.facts(conversation, ConversationResolved) == []


async def keeps_noting(carol: ConsolePage, text: str) -> None:
    """A note that fails stays in the field, and is tried again by whoever wrote it."""
    async with asyncio.timeout(60):
        while True:
            await expect(carol.editor).to_be_enabled()
            if await carol.editor.input_value() != text:
                return
            await carol.editor.press("Enter")


async def all_sent(carol: ConsolePage) -> None:
    """What could not be sent says so, and is tried again, until nothing is left."""
    async with asyncio.timeout(60):
        while await carol.unsent.count():
            again = carol.part("again")
            if await again.count():
                await again.first.click()
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(loop_scope="session")
async def short_leases(stage: Stage) -> AsyncIterator[Service]:
    """Consoles count as gone as soon as may be set."""
    service = stage.service("operator", SWITCHBOARD_LEASE_SECONDS="30")
    service.launch()
    await service.ready()
    yield service
    service.kill()


async def test_whose_link_is_silent_loses_the_conversation_and_no_word(
    people: People, short_leases: Service, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(NETWORK)
    watch.allow("status of 409")
    await stage.account("dora", "Dora")
    await stage.account("emil", "Emil")
    visitor, conversation = await waiting(people)
    async with BrowserWire(short_leases.port) as wire:
        dora = ConsolePage(await people.page())
        await dora.page.goto(wire.url)
        await dora.logs_in("dora")
        await dora.looks_at("queue")
        await dora.opens(conversation)
        await dora.takes_over()
        await visitor.sees(note("Dora joined"))
        wire.falls_silent()
        await dora.editor.fill("I have found it")
        await dora.editor.press("Enter")
        await dora.editor.fill("Are you still")

        emil = ConsolePage(await people.page())
        await emil.page.goto(short_leases.url)
        await emil.logs_in("emil")
        await expect(emil.row(conversation)).to_be_visible(timeout=90_000)
        await visitor.sees(note("Dora left"))
        await emil.opens(conversation)
        await emil.takes_over()
        await visitor.sees(note("Emil joined"))
        await emil.says("I go on")
        await visitor.sees(from_operator("I go on"))

        wire.recovers()
        await expect(dora.owner).to_have_text("With Emil")
        for role in ("handback", "release", "resolve"):
            await expect(dora.part(role)).to_be_hidden()
        await expect(dora.editor).to_be_disabled()
        # Neither word is lost, and neither was said by somebody who did not have the conversation any more.
        await expect(dora.unsent).to_have_count(1)
        await expect(dora.unsent.locator("p")).to_have_text("I have found it")
        await expect(dora.part("again")).to_be_visible()
        await expect(dora.editor).to_have_value("Are you still")
        assert await texts(stage, conversation) == ["I go on"]
