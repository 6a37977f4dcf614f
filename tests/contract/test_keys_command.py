"""`switchboard keys` against the real server, and over a data folder of its own."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from deploy import provisioning
from deploy.cli.main import main
from deploy.local.embedded import MASTER_KEY, EmbeddedNats, master_key_file, write_secret
from shared.eventlog.key_blocks import NAME_BYTES
from shared.eventlog.keyring import Keyring
from shared.eventlog.master_keys import MasterKeys, WrongMasterKey, new_master_key
from tests.conftest import Connections, connected

OLD, NEW = new_master_key(), new_master_key()

Pair = tuple[bytes, bytes]


def pair(id: bytes, secret: bytes) -> Pair:
    return id, secret


@pytest.fixture
def elsewhere(declared: EmbeddedNats, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The commands' NATS is one that is not theirs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", declared.url())
    monkeypatch.setenv("SWITCHBOARD_NATS_PASSWORD_ADMIN", declared.password("admin"))


async def keys(*words: str) -> int:
    return await asyncio.to_thread(main, ["keys", *words])


async def made(connections: Connections, master: str) -> Pair:
    return await Keyring(await connections.client("proxy"), MasterKeys.parse(master), pair).new()


async def test_a_master_key_is_changed_while_services_know_both(
    connections: Connections,
    elsewhere: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [await made(connections, OLD) for _ in range(3)]
    monkeypatch.setenv("SWITCHBOARD_MASTER_KEY", f"{NEW},{OLD}")
    after = await made(connections, f"{NEW},{OLD}")
    assert await keys("check") == 1
    assert "3 blocks are wrapped by one before it: run `switchboard keys rotate`" in capsys.readouterr().out
    assert await keys("rotate") == 0
    assert MasterKeys.parse(NEW).id in capsys.readouterr().out
    monkeypatch.setenv("SWITCHBOARD_MASTER_KEY", NEW)
    assert await keys("check") == 0
    assert "4 blocks of 64 keys; 0 keys are destroyed." in capsys.readouterr().out
    reader = Keyring(await connections.client("operator"), MasterKeys.parse(NEW), pair)
    for key in (*before, after):
        assert await reader.get(key[0]) == key


async def test_what_cannot_be_opened_is_told_and_left_as_it_is(
    connections: Connections,
    elsewhere: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = await made(connections, OLD)
    for command, code in (("check", 1), ("rotate", 1)):
        monkeypatch.setenv("SWITCHBOARD_MASTER_KEY", NEW)
        assert await keys(command) == code
        assert "States, choices by id, times and numbers can be read" in capsys.readouterr().err
    reader = Keyring(await connections.client("operator"), MasterKeys.parse(OLD), pair)
    assert await reader.get(key[0]) == key


@pytest.mark.parametrize("given", ["", "1234", "no hex"])
async def test_a_missing_or_malformed_master_key_is_told(
    elsewhere: None, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWITCHBOARD_MASTER_KEY", given)
    for command in ("check", "rotate"):
        assert await keys(command) == 1
        said = capsys.readouterr().err
        assert "master key" in said or "SWITCHBOARD_MASTER_KEY is not set" in said
        assert given == "" or given not in said


# --- the store of `switchboard run` -----------------------------------------------------------


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which nothing runs, with one block of keys; and the commands' own."""
    data = tmp_path / "own"
    server = EmbeddedNats(data)
    server.start()
    admin, proxy = await connected(server, "admin"), await connected(server, "proxy")
    await provisioning.declare(admin, max_bytes=1024**3)
    await Keyring(proxy, MasterKeys.parse(master_key_file(data).read_text()), pair).new()
    await admin.close()
    await proxy.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHBOARD_DATA", str(data))
    monkeypatch.setenv("SWITCHBOARD_NATS_PORT", str(server.port))
    server.stop()
    return data


async def test_the_file_of_the_master_key_is_its_owners_alone(folder: Path) -> None:
    assert stat.S_IMODE((folder / MASTER_KEY).stat().st_mode) == 0o600
    assert master_key_file(folder).read_text() == (folder / MASTER_KEY).read_text()


async def test_a_rotation_makes_the_new_key_and_drops_the_old_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / MASTER_KEY).read_text()
    assert await keys("rotate") == 0
    after = (folder / MASTER_KEY).read_text()
    assert after != before
    assert len(after.split()) == 1
    assert await keys("check") == 0
    (folder / MASTER_KEY).write_text(before)
    assert await keys("check") == 1
    assert MasterKeys.parse(after).id in capsys.readouterr().err


async def test_a_rotation_that_was_cut_short_ends_with_the_same_new_key(folder: Path) -> None:
    new = new_master_key()
    write_secret(folder / MASTER_KEY, f"{new}\n{(folder / MASTER_KEY).read_text()}")
    assert await keys("rotate") == 0
    assert (folder / MASTER_KEY).read_text() == new + "\n"
    assert await keys("check") == 0


async def test_a_lost_file_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / MASTER_KEY).unlink()
    for command in ("check", "rotate"):
        assert await keys(command) == 1
        assert "put it back from a copy" in capsys.readouterr().err
    assert not (folder / MASTER_KEY).exists()


async def test_while_services_run_with_the_old_key_it_is_not_changed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / MASTER_KEY).read_text()
    server = EmbeddedNats(folder)
    server.start()
    try:
        monkeypatch.setenv("SWITCHBOARD_NATS_PORT", str(server.port))
        assert await keys("rotate") == 1
        assert "stop it, rotate, and start it again" in capsys.readouterr().err
        assert (folder / MASTER_KEY).read_text() == before
        assert await keys("check") == 0
    finally:
        server.stop()


def test_a_key_under_another_master_is_not_opened() -> None:
    wrapped = MasterKeys.parse(OLD).wrap(b"secret", bytes(NAME_BYTES))
    with pytest.raises(WrongMasterKey):
        MasterKeys.parse(NEW).unwrap(wrapped, bytes(NAME_BYTES))
    assert not MasterKeys.parse(f"{NEW},{OLD}").newest_wrapped(wrapped)
