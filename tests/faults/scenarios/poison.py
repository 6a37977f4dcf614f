"""Entries that no program of ours would write: one conversation suffers, the others go on."""

from __future__ import annotations

import asyncio

import msgspec

from shared.contract.subjects import chat, conversation_of
from tests.faults.checker import Violation, in_time
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial
from tests.faults.workload import serve_until_done

#: What is put into conversations, under the right subject and author.
POISON = {
    "not JSON": b"\xff\xfe{",
    "empty": b"",
    "another JSON": b"[1, 2, 3]",
    "null": b"null",
    "facts that are none": b'{"id": "p1", "facts": 7}',
    "no facts": b'{"id": "p2"}',
    "an unknown fact": b'{"id": "p3", "facts": [{"kind": "TeaServed", "cups": 3}]}',
    "a known fact, wrongly": b'{"id": "p4", "facts": [{"kind": "TextWritten", "session": {}, "text": 5}]}',
    "another author's fact": b'{"id": "p5", "facts": [{"kind": "BotSaid", "text": "I am the bot"}]}',
    "a strange cause": b'{"id": "p6", "cause": -5, "facts": [{"kind": "TeaServed"}]}',
    "deep": b'{"id": "p7", "facts": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
    "a huge number": b'{"id": "p8", "cause": 99999999999999999999999999, "facts": []}',
}
#: Of a version that is not yet: this program may read it, and must not decide after it.
FUTURE = b'{"id": "f", "needs": 99, "facts": [{"kind": "TextWritten", "session": 10, "text": "later"}]}'


async def poison(trial: Trial) -> None:
    """Each kind of bad entry in a conversation of its own; then everything is started again."""
    async with Lab(trial) as lab:
        healthy = await lab.invite(trial.of(20, 6), people=0.05)
        sick = await lab.invite(len(POISON))
        future, *_ = await lab.invite(1)
        lab.spare([*healthy[:3], *sick, future])  # they are asked when no operator is at work
        writer = await lab.connect("proxy")
        work = lab.talk(healthy, trial.of(40, 8))
        for guest, (name, data) in zip(sick, POISON.items(), strict=True):
            answer = await writer.request(chat(guest.conversation, "visitor"), data, timeout=5)
            assert "seq" in msgspec.json.decode(answer.data), (name, answer.data)
        answer = await writer.request(chat(future.conversation, "visitor"), FUTURE, timeout=5)
        # A conversation of which nothing sound is known, and one whose name is none.
        unknown = conversation_of("no visitor ever had this", "websocket")
        for conversation in (unknown, "x"):
            await writer.request(chat(conversation, "visitor"), b"{", timeout=5)
        trial.say(f"{len(POISON) + 3} poison entries are stored")
        await work
        for guest in sick:
            await guest.turn()
        trial.say("the poisoned conversations went on")
        before = await (await lab.log()).length()
        await asyncio.sleep(trial.of(7, 6))  # beyond the lease: what is delivered again and again shows now
        after = await (await lab.log()).length()
        await lab.restart(lab.services)
        slowest = 0.0
        for guest in (*healthy[:3], *sick):
            # One whose conversation was closed waits for a person with the next word.
            recovery = asyncio.create_task(lab.recovery(guest))
            await serve_until_done(lab.clerks, [recovery], takeovers=0.0)
            slowest = max(slowest, recovery.result())
        trial.figure("kinds of poison", len(POISON) + 2)
        trial.figure("answer after a restart", f"at most {slowest:.1f} s")
        violations = in_time("an answer after the restart", slowest, 15)
        if before != after:
            violations.append(
                Violation("silent", "", f"{after - before} entries were appended by themselves")
            )
        await lab.settle([*healthy, *sick])  # the other one waits for a newer program
        await lab.verdict()
        if violations:
            raise LawBroken(violations)
