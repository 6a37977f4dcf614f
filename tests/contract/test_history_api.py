"""Travelling through a conversation over the API, and its bundle: real services on a real log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.cli.main import main
from services.operator.history import EVERY, Histories, NothingThere, StillReading
from services.operator.transports.problems import PROBLEM_JSON
from shared.contract.entry import Entry
from shared.contract.facts import BotSaid, ConversationErased, ConversationStarted, TextWritten, VariableSaved
from shared.contract.subjects import conversation_of
from shared.service.chat_log import ChatLog
from shared.service.pace import Pace
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import Api, WrittenChats, chat, clients  # noqa: F401 (fixtures)
from tests.flow_author import WrittenGuest
from tests.long_histories import write_long
from tests.unit.test_retrace import AGES


@pytest.fixture
async def log(connections: Connections) -> ChatLog:
    return await connections.log("operator")


async def got(api: Api, path: str, **query: Any) -> dict[str, Any]:
    answer = await api.http.get(f"/api/conversations/{path}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_conversation_is_travelled_explained_bundled_and_forgotten(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Given a visitor who told the bot her age, and an operator who took over, when another looks back."""
    flow = tmp_path / "ages.json"
    flow.write_text(json.dumps(AGES))
    await services.start("workflow", SWITCHBOARD_FLOW=str(flow))
    ada = await Api(await services.start("operator"), clients).enter("ada")
    guest = WrittenGuest(chat.visitor, conversation_of("guest", "websocket"))
    id = guest.conversation
    await guest.begin()
    await guest.do(TextWritten(session="age", text="21"))
    await ada.shows("live", id)
    assert (await ada.do(id, "label", label="refund")).status_code == 200
    assert (await ada.do(id, "claim")).status_code == 200
    positions = [entry.position for entry in await guest.history()]

    page = await got(ada, f"{id}/history")
    assert page["total"] == 5
    assert [entry["position"] for entry in page["entries"]] == positions
    assert [entry["author"] for entry in page["entries"]] == ["visitor", "bot", "visitor", "bot", "operator"]
    assert page["entries"][4]["facts"] == ["ConversationClaimed"]
    part = await got(ada, f"{id}/history", **{"from": 4, "limit": 1})
    assert [entry["number"] for entry in part["entries"]] == [4]

    answered = await got(ada, f"{id}/history/{positions[3]}")
    assert (answered["number"], answered["previous"], answered["next"]) == (4, positions[2], positions[4])
    assert (answered["state"]["place"], answered["state"]["owner"]) == ("bye", "bot")
    assert answered["changed"] == ["place", "unanswered"]
    assert answered["variables"] == [{"name": "age", "value": 21, "change": "new"}]
    assert [line["text"] for line in answered["lines"]][:2] == ["age: 21", "Full price, 21."]
    why = answered["explanation"]
    assert (why["verdict"], why["answers"], why["place"]) == ("same", positions[2], "ask")
    assert why["path"] == ["got", "adult", "bye"]
    assert [(rule["text"], rule["holds"], rule["values"]) for rule in why["rules"]][-2:] == [
        ("age >= 65", False, {"age": "21"}),
        ("age >= 18", True, {"age": "21"}),
    ]

    before = await got(ada, f"{id}/history/{positions[2]}")
    assert (before["state"]["place"], before["variables"], before["explanation"]) == ("ask", [], None)
    assert before["state"]["unanswered"] == [positions[2]]
    claimed = await got(ada, f"{id}/history/{2**53 - 1}")
    assert (claimed["position"], claimed["next"]) == (positions[4], None)
    assert (claimed["state"]["owner"], claimed["state"]["operator"]) == ("operator", "ada")
    assert claimed["variables"] == [{"name": "age", "value": 21, "change": "same"}]

    # The bundle replays the same, and differs with another flow; without words some cannot be told.
    async def saved(**query: Any) -> Path:
        answer = await ada.http.get(f"/api/conversations/{id}/history/{positions[3]}/bundle", params=query)
        assert answer.status_code == 200, answer.text
        assert f'filename="conversation-{id[:8]}' in answer.headers["content-disposition"]
        file = tmp_path / "visit.bundle.jsonl"
        file.write_bytes(answer.content)
        return file

    file = await saved()
    assert main(["replay-bundle", str(file)]) == 0
    assert capsys.readouterr().out == "4 entries, 2 decisions the same: the bot decides the same.\n"
    flow.write_text(json.dumps({**AGES, "got": {**AGES["got"], "next": "minor"}}))
    assert main(["replay-bundle", str(file), "--flow", str(flow)]) == 1
    told = capsys.readouterr().out
    assert "it goes “got” → “minor” → “bye”; then it went “got” → “adult” → “bye”" in told
    assert "the bot decides otherwise with this “ages”." in told
    assert main(["replay-bundle", str(file), "--flow", str(flow), "--name", "shop"]) == 1
    assert "nothing in it was decided by a flow “shop”" in capsys.readouterr().err
    bare = await saved(words="false")
    assert '"21"' not in bare.read_text()
    assert main(["replay-bundle", str(bare), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["same"], report["untold"], report["difference"]) == (1, 1, None)
    bare.write_text(bare.read_text().splitlines()[0])
    assert main(["replay-bundle", str(bare)]) == 1
    assert "it was cut off" in capsys.readouterr().err

    # Who may not read it, and what is not there.
    for path in ("history", f"history/{positions[3]}", f"history/{positions[3]}/bundle"):
        unknown = await ada.http.get(f"/api/conversations/{'0' * 32}/{path}")
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, PROBLEM_JSON)
        async with httpx.AsyncClient(base_url=ada.http.base_url) as stranger:
            assert (await stranger.get(f"/api/conversations/{id}/{path}")).status_code == 401
    early = await ada.http.get(f"/api/conversations/{id}/history/0")
    assert early.status_code == 404
    assert (
        early.json()["detail"] == f"what can be shown of this conversation begins at position {positions[0]}"
    )
    assert (await ada.http.get(f"/api/conversations/{id}/history?from=6")).status_code == 404

    # Erased: nothing from before is shown, also once the visitor has begun anew.
    eraser = await connections.log("eraser")
    await eraser.append(id, "eraser", Entry(id="erase", facts=(ConversationErased(by="ada"),)))
    anew = await guest.begin()
    assert anew
    await ada.shows("live", id)
    page = await got(ada, f"{id}/history")
    assert [entry["author"] for entry in page["entries"]][:2] == ["visitor", "bot"]
    assert page["entries"][0]["position"] > positions[-1]
    assert (await ada.http.get(f"/api/conversations/{id}/history/{positions[3]}")).status_code == 404


async def test_a_long_history_is_folded_from_a_near_state(connections: Connections, log: ChatLog) -> None:
    """Every position has the state that a fold from the beginning has, also beyond states that are kept."""
    id = conversation_of("long", "websocket")
    total = await write_long(
        await connections.client("proxy"), await connections.client("workflow"), id, 299, 10
    )
    bot = await connections.log("workflow")
    await bot.append(id, "bot", Entry(id="v", facts=(VariableSaved(name="age", value=21),)))
    histories = Histories(log, Pace())
    count, steps = await histories.steps(id, EVERY, 3)
    assert count == total + 1 > 2 * EVERY
    whole = [
        step for first in range(1, count + 1, 200) for step in (await histories.steps(id, first, 200))[1]
    ]
    assert len(whole) == count
    assert [step.entry.position for step in whole[EVERY - 1 : EVERY + 2]] == [
        step.entry.position for step in steps
    ]
    fresh = Histories(log, Pace())
    for number in (0, EVERY - 1, EVERY, EVERY + 1, 2 * EVERY, count - 1):
        place = await fresh.at(id, whole[number].entry.position)
        assert (place.number, place.total) == (number + 1, count)
        assert place.step.after.conversation.position == whole[number].after.conversation.position
        assert (
            place.step.after.conversation.inbox.unanswered
            == whole[number].after.conversation.inbox.unanswered
        )
    assert (await fresh.at(id, 2**53)).step.after.conversation.progress.variables == {"age": 21}


async def test_a_request_reads_for_so_long_and_the_next_goes_on(
    connections: Connections, log: ChatLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given more than a request may read, when it is asked again, then it comes to the end."""
    monkeypatch.setattr("services.operator.history.READ_SECONDS", 0.0)
    id = conversation_of("longer", "websocket")
    visitor, answers = await connections.client("proxy"), await connections.client("workflow")
    total = await write_long(visitor, answers, id, 349, 10)
    histories = Histories(log, Pace())
    told: list[str] = []
    while len(told) < 10:
        try:
            assert (await histories.at(id, 2**53)).total == total
            break
        except StillReading as error:
            told.append(str(error))
    assert 1 <= len(told) < 10
    assert "entries are read: ask again" in told[0]
    lines = [line async for line in await Histories(log, Pace()).bundle(id, 2**53, True, "1", "now")]
    assert b"".join(lines).count(b"\n") == total + 2, "a file is whole, however long that takes"


async def test_nobody_is_shown_what_was_erased_while_they_asked(
    connections: Connections, log: ChatLog
) -> None:
    visitor, eraser = await connections.log("proxy"), await connections.log("eraser")
    id = conversation_of("erased", "websocket")
    await visitor.append(id, "visitor", Entry(id="1", facts=(ConversationStarted(door="web"),)))
    histories = Histories(log, Pace())
    assert (await histories.at(id, 2**53)).total == 1
    lines = await histories.bundle(id, 2**53, True, "1", "now")
    histories.forget(id)
    with pytest.raises(NothingThere, match="was erased"):
        assert [line async for line in lines]
    await eraser.append(id, "eraser", Entry(id="erase", facts=(ConversationErased(by="ada"),)))
    with pytest.raises(NothingThere, match="begins later"):
        await histories.at(id, 2**53)
    bot = await connections.log("workflow")
    await bot.append(id, "bot", Entry(id="x", facts=(BotSaid(text="Hi"),)))
    assert (await histories.at(id, 2**53)).number == 1
