"""Versions of flows: published, shared out, rolled back, reloaded; live conversations stay as they are."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import md5
from pathlib import Path

import pytest

from services.workflow import releases
from services.workflow.domain.releases import Release, chosen, published
from shared.contract.facts import ChoiceMade, FlowStarted
from shared.service.chat_log import ChatLog
from tests.conftest import Connections, Services
from tests.flow_author import Author, WrittenGuest, greeting, said

FIRST = ChoiceMade(group="menu", item="i0")


@pytest.fixture
def author(connections: Connections, tmp_path: Path) -> Author:
    folder = tmp_path / "flows"
    folder.mkdir()
    return Author(connections.server, folder)


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


class Doors:
    """New guests, one after the other."""

    def __init__(self, log: ChatLog) -> None:
        self._log = log
        self._count = 0

    def guest(self) -> WrittenGuest:
        self._count += 1
        return WrittenGuest(self._log, md5(str(self._count).encode()).hexdigest())

    async def greeted(self, flow: str = "") -> str:
        """What a new guest is greeted with."""
        return said(await self.guest().begin(flow))[0]

    async def until_greeted(self, wanted: str, flow: str = "", times: int = 1) -> None:
        """New guests come until so many in a row are greeted so."""
        async with asyncio.timeout(30):
            row = 0
            while row < times:
                row = row + 1 if await self.greeted(flow) == wanted else 0


@pytest.fixture
def doors(visitor: ChatLog) -> Doors:
    return Doors(visitor)


async def test_what_is_published_is_what_all_replicas_begin_with_and_live_conversations_stay(
    author: Author, services: Services, doors: Doors
) -> None:
    file = author.write("shop.json", greeting("Old"))
    for _ in range(2):
        await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    before = doors.guest()
    assert said(await before.begin()) == ["Old"]

    await author.done("publish", author.write("new.json", greeting("New")), "--name", "shop")

    await doors.until_greeted("New", times=20)  # no replica begins with the old one any more
    assert said(await before.do(FIRST)) == ["Old and 0."]


async def test_a_published_flow_needs_no_file_and_is_found_by_its_name(
    author: Author, services: Services, doors: Doors
) -> None:
    file = author.write("shop.json", greeting("Shop"))
    await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    assert await doors.greeted("garden") == "Shop"  # unknown: the default

    await author.done("publish", author.write("garden.json", greeting("Garden")))

    await doors.until_greeted("Garden", "garden")
    assert await doors.greeted() == "Shop"


async def test_a_share_gets_the_candidate_and_one_command_takes_it_back(
    author: Author, services: Services, doors: Doors
) -> None:
    file = author.write("shop.json", greeting("Old"))
    await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    await author.done("publish", file)
    text = await author.done(
        "publish", author.write("new.json", greeting("New")), "--name", "shop", "--share", 50
    )
    assert "50 %" in text
    await doors.until_greeted("New")
    greetings = Counter([await doors.greeted() for _ in range(40)])
    assert set(greetings) == {"Old", "New"}

    text = await author.done("rollback", "shop")

    assert "begin with version" in text
    await doors.until_greeted("Old", times=30)


async def test_a_share_of_all_makes_the_candidate_the_version_and_a_rollback_names_any_before(
    author: Author, services: Services, doors: Doors
) -> None:
    file = author.write("shop.json", greeting("One"))
    await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    await author.done("publish", file)
    await author.done("publish", author.write("two.json", greeting("Two")), "--name", "shop", "--share", 10)
    await author.done("share", "shop", "100%")
    await doors.until_greeted("Two", times=10)
    await author.done("publish", author.write("three.json", greeting("Three")), "--name", "shop")
    await doors.until_greeted("Three", times=10)

    unknown = await author.run("rollback", "shop", "ffffffff")
    assert (unknown.code, "is no version of this flow" in unknown.text) == (1, True)

    await author.done("rollback", "shop")
    await doors.until_greeted("Two", times=10)
    await author.done("withdraw", "shop")
    await doors.until_greeted("One", times=10)


async def test_the_list_counts_the_live_conversations_of_each_version(
    author: Author, services: Services, doors: Doors
) -> None:
    file = author.write("shop.json", greeting("Old"))
    await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    guests = [doors.guest() for _ in range(3)]
    for guest in guests:
        await guest.begin()
    await guests[0].do(FIRST)  # to its end: no longer live

    listed = await author.done("list")

    state = await guests[1].state()
    assert f"{'shop':<20} {state.progress.version[:8]:<10} {'-':>6} {2:>7}" in listed


async def test_of_two_who_publish_at_once_one_is_told(connections: Connections) -> None:
    client = await connections.client("workflow")
    found = await releases.release_of(client, "shop")
    mine = published(found.release, "a" * 32, 100, "2026-01-01T00:00:00.000Z", "me")
    theirs = published(found.release, "b" * 32, 100, "2026-01-01T00:00:00.000Z", "they")

    await releases.keep(client, "shop", theirs, found.revision)

    with pytest.raises(releases.Raced, match="Somebody else changed"):
        await releases.keep(client, "shop", mine, found.revision)
    assert (await releases.release_of(client, "shop")).release == theirs
    assert await releases.all_releases(client) == {"shop": theirs}


def test_the_share_is_the_same_for_every_replica_and_as_large_as_it_was_asked() -> None:
    release = Release(version="a" * 32, candidate="b" * 32, share=10)
    names = [md5(str(n).encode()).hexdigest() for n in range(20_000)]
    picked = [name for name in names if chosen(release, name) == release.candidate]
    assert picked == [name for name in names if chosen(release, name) == release.candidate]
    assert 1_850 < len(picked) < 2_150  # 2,000 expected, and 3.5 standard deviations of sqrt(n p q) are 148
    other = Release(version="a" * 32, candidate="c" * 32, share=10)
    both = sum(chosen(other, name) == other.candidate for name in picked)
    assert 120 < both < 290  # another candidate is tried with other visitors: 200 expected


async def test_a_saved_file_is_read_anew_and_a_broken_one_is_not(
    author: Author, services: Services, doors: Doors
) -> None:
    file = author.write("shop.json", greeting("Old"))
    replicas = [await services.start("workflow", SWITCHBOARD_FLOW=str(file)) for _ in range(2)]
    before = doors.guest()
    await before.begin()

    author.write("shop.json", '{"hello": {\n "next": "nowhere"}}')
    await _until(lambda: all(f"{file}:1" in replica.output for replica in replicas))
    assert all("no state" in replica.output for replica in replicas)
    assert await doors.greeted() == "Old"

    author.write("shop.json", greeting("New"))
    await doors.until_greeted("New", times=10)
    assert said(await before.do(FIRST)) == ["Old and 0."]


async def test_an_editor_that_puts_another_file_in_its_place_is_noticed(
    author: Author, services: Services, doors: Doors
) -> None:
    file = author.write("shop.json", greeting("Old"))
    await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    os.replace(author.write("shop.json~", greeting("New")), file)
    await doors.until_greeted("New")


async def test_the_flows_of_a_folder_are_found_by_name(
    author: Author, services: Services, doors: Doors, tmp_path: Path
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    author.write("shop.json", greeting("Shop"))
    Author(services.server, folder).write("garden.json", greeting("Garden"))
    settings = {"SWITCHBOARD_FLOW": str(author.folder / "shop.json"), "SWITCHBOARD_FLOWS": str(folder)}
    await services.start("workflow", **settings)

    guest = doors.guest()
    facts = await guest.begin("garden")

    assert said(facts) == ["Garden"]
    assert next(fact.flow for fact in facts if isinstance(fact, FlowStarted)) == "garden"
    assert await doors.greeted() == "Shop"
    Author(services.server, folder).write("pond.json", greeting("Pond"))  # one that comes later
    await doors.until_greeted("Pond", "pond")


async def _until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)
