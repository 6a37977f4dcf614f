"""The pages' modules: their own tests; what the chat button builds to, how large that is, its languages."""

from __future__ import annotations

import json
import subprocess
from gzip import compress
from pathlib import Path

import pytest
from langcodes.data_dicts import LIKELY_SUBTAGS

from services.proxy.transports.pages import STATIC, manifest
from shared.flow.language.locales import lookup
from tests.javascript import NODE, ROOT, packages

WIDGET = ROOT / "services/proxy/widget"
TEXTS = sorted(path.stem for path in (WIDGET / "texts").glob("*.json"))


def node(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, *arguments], cwd=ROOT, input=given, capture_output=True, text=True, timeout=60
    )


def test_each_module_does_what_its_tests_say() -> None:
    folders = ("widget", "console", "dashboard")
    files = sorted(str(each) for folder in folders for each in ROOT.glob(f"tests/{folder}/*.test.js"))
    done = node("--test", *files)
    assert done.returncode == 0, done.stdout[-5000:]


def test_the_served_files_are_what_the_modules_build_to() -> None:
    packages(ROOT)
    done = node("services/proxy/widget/build.js", "--check")
    assert done.returncode == 0, done.stderr


def test_a_served_file_that_is_another_is_named(tmp_path: Path) -> None:
    packages(ROOT)
    copy = tmp_path / "proxy"
    (copy / "static").mkdir(parents=True)
    subprocess.run(["cp", "-r", WIDGET, copy], check=True)
    subprocess.run(["cp", "-r", STATIC / "widget", copy / "static"], check=True)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    assert node(str(copy / "widget/build.js"), "--check").returncode == 0
    name = f"{manifest().version}/chat.js"
    served = copy / "static/widget" / name
    served.write_text(served.read_text() + "//")
    done = node(str(copy / "widget/build.js"), "--check")
    assert done.returncode == 1
    assert name in done.stderr
    assert "make widget" in done.stderr


def size(name: str) -> int:
    """In bytes, as it is served."""
    return len(compress((STATIC / "widget" / manifest().version / name).read_bytes(), 9, mtime=0))


def test_the_button_alone_and_all_of_it_are_small() -> None:
    assert size("widget.js") <= 5 * 1024
    assert size("widget.js") + size("chat.js") <= 24.5 * 1024
    assert size("markdown.js") <= 2 * 1024  # only where an assistant speaks
    for language in TEXTS:
        assert language == "en" or size(f"texts-{language}.js") <= 1024


def test_its_languages_are_chosen_as_flows_choose_theirs() -> None:
    # Of literary Chinese the browsers' newer data says that it is written in traditional characters.
    tags = [tag for tag in LIKELY_SUBTAGS if not tag.startswith(("und", "lzh"))]
    tags += ["pt-BR", "zh-CN", "zh-SG", "de-AT", "ar-EG", "iw", "yue-Hans", "en-GB", "fr-CA", "es-419"]
    wishes = [[tag] for tag in tags]
    wishes += [
        ["ca", "de"],
        ["cy", "fr"],
        ["sr", "gsw"],
        ["xx", "ja"],
        ["nan", "pl"],
        ["la", "rm"],
        ["und", "he"],
    ]
    script = (
        'import { chooseLanguage } from "./services/proxy/widget/button/languages.js";'
        'import { readFileSync } from "node:fs";'
        "const wishes = JSON.parse(readFileSync(0, 'utf8'));"
        "console.log(JSON.stringify(wishes.map(chooseLanguage)));"
    )
    done = node("--input-type=module", "--eval", script, given=json.dumps(wishes))
    assert done.returncode == 0, done.stderr
    wrong = {
        ", ".join(asked): (chosen, expected)
        for asked, chosen in zip(wishes, json.loads(done.stdout), strict=True)
        if chosen != (expected := lookup(asked, TEXTS) or "en")
    }
    assert wrong == {}


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_has_markup(name: str) -> None:
    texts = json.loads((WIDGET / "texts" / f"{name}.json").read_text())
    assert not [text for text in texts.values() if "<" in text or "&" in text]
