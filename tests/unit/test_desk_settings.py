"""The desk's settings: what a document may say, and what its author is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.main import main
from shared.contract.desk_settings import NO_SETTINGS, SettingsError, read_settings

HOUR = 3600 * 10**9


def refused(document: Any) -> list[str]:
    with pytest.raises(SettingsError) as error:
        read_settings(document if isinstance(document, bytes) else json.dumps(document).encode())
    return error.value.problems


def test_a_queue_has_its_own_or_the_desks() -> None:
    monday = 1_795_424_400 * 10**9  # 2026-11-23, 9 o'clock UTC
    settings = read_settings(
        json.dumps(
            {
                "zone": "Europe/Berlin",
                "hours": {"monday": ["09:00-10:00", "11:00-24:00"], "holidays": ["2026-11-30"]},
                "queues": {
                    "sales": {"agreed": {"first_response": "90s", "resolution": "8h"}},
                    "night": {"hours": {"zone": "UTC", "sunday": ["00:00-24:00"]}},
                },
            }
        ).encode()
    )
    sales, night = settings.queue("sales"), settings.queue("night")
    assert (sales.agreed.first_response, sales.agreed.next_response) == (90 * 10**9, 0)
    assert sales.agreed.resolution == 8 * HOUR
    assert [sales.hours.open_at(monday + each * HOUR) for each in (-2, -1, 0, 1, 14)] == [
        *(False, True, False, True),
        False,
    ]
    assert not sales.hours.open_at(monday + 7 * 24 * HOUR + HOUR)
    assert [night.hours.open_at(monday + each * HOUR) for each in (-10, -9)] == [True, False]
    assert settings.queue("unheard of") == NO_SETTINGS.queue("sales")
    assert NO_SETTINGS.queue("sales").hours.open_at(monday)


def test_who_can_do_what() -> None:
    settings = read_settings(
        b"""{"capacity": 3, "operators": {"ada": {"languages": ["pt-BR", "EN"]}, "bob": {"capacity": 5}},
             "queues": {"sales": {"members": ["ada"]}, "all": {}}}"""
    )
    assert [settings.skills(name).capacity for name in ("ada", "bob", "carol")] == [3, 5, 3]
    assert NO_SETTINGS.skills("ada").capacity == 0
    told = ("pt", "PT-pt", "en-GB,en;q=0.9", "de,en", "")
    assert [settings.skills("ada").speaks(language) for language in told] == [True, True, True, False, False]
    assert [settings.queue(name).is_served_by("bob") for name in ("sales", "all", "other")] == [
        *(False, True, True),
    ]
    assert settings.named == {"ada", "bob"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"{", "this is not JSON"),
        (b"\xff", "this is not JSON"),
        ([], 'the document must be an object such as {"zone": "Europe/Berlin"}'),
        ({"zone": "Berlin"}, "zone: 'Berlin' is no time zone that is known here; name one"),
        ({"zone": "../passwd"}, "zone: '../passwd' is no time zone"),
        ({"zone": 1}, "zone: expected `str`, got `int`"),
        (
            {"color": 1},
            "the document: object contains unknown field `color`; known here are zone, hours,",
        ),
        ({"queues": []}, "queues: must be an object that has a key for each name"),
        ({"queues": {"": {}}}, "queues.: a queue's name has 1 to 64 characters"),
        ({"queues": {"sales": 1}}, "queues.sales: expected `object`, got `int`"),
        (
            {"queues": {"sales": {"agreed": {"first": "2m"}}}},
            "queues.sales.agreed: object contains unknown field `first`; known here are first_response,",
        ),
        (
            {"queues": {"sales": {"agreed": {"resolution": "2d"}}}},
            "queues.sales.agreed.resolution: '2d' is no working time of at most 1000h; write it as",
        ),
        (
            {"queues": {"sales": {"agreed": {"resolution": "1001h"}}}},
            "queues.sales.agreed.resolution: '1001h'",
        ),
        ({"capacity": 0}, "capacity: expected `int` >= 1"),
        ({"operators": {"Ada": {}}}, "operators.Ada: 'Ada' cannot be an account's name: 1 to 32 of a-z"),
        ({"operators": {"ada": {"capacity": "4"}}}, "operators.ada.capacity: expected `int"),
        (
            {"operators": {"ada": {"languages": ["German!"]}}},
            "operators.ada.languages[0]: 'German!' is no tag of a language; write it as de or pt-BR",
        ),
        ({"queues": {"sales": {"assignment": "random"}}}, "queues.sales.assignment: invalid enum value"),
        ({"queues": {"sales": {"answer_seconds": 5}}}, "queues.sales.answer_seconds: expected `int` >= 10"),
        ({"queues": {"sales": {"members": []}}}, "queues.sales.members: nobody serves this queue; name"),
        ({"queues": {"sales": {"members": ["A b"]}}}, "queues.sales.members[0]: 'A b' cannot be an account"),
        ({"hours": {}}, 'hours: no day has any hours; write them as "monday": ["09:00-17:00"]'),
        (
            {"hours": {"monday": ["9-17"]}},
            """hours.monday[0]: '9-17' are no hours; write them as "09:00-17:00\"""",
        ),
        ({"hours": {"monday": ["09:00-25:00"]}}, "hours.monday[0]: '09:00-25:00' are no hours"),
        ({"hours": {"monday": ["22:00-06:00"]}}, "hours.monday[0]: '22:00-06:00' ends before it begins"),
        (
            {"hours": {"monday": ["09:00-12:00", "11:00-13:00"]}},
            "hours.monday[1]: '11:00-13:00' begins before the hours ahead of it end",
        ),
        (
            {"hours": {"monday": ["09:00-12:00"], "holidays": ["25.12.2026"]}},
            "hours.holidays[0]: '25.12.2026' is no day; write it as 2026-12-25",
        ),
        ({"queues": {str(n): {} for n in range(201)}}, "queues: there are 201, and at most 200 are possible"),
        (b" " * 300_000, "the document is larger than 256 KiB: shorten it"),
    ],
)
def test_whoever_wrote_it_is_told_the_field_and_the_remedy(document: Any, told: str) -> None:
    (problem,) = refused(document)
    assert problem.startswith(told)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "desk.json"
    file.write_text('{"zone": "Mars", "queues": {"a": {"agreed": {"resolution": "soon"}}, "b": 7}}')
    assert main(["desk", "check", str(file)]) == 1
    told = capsys.readouterr().err
    assert [line.split(":")[1].strip() for line in told.splitlines()] == [
        *("zone", "queues.a.agreed.resolution", "queues.b"),
    ]
    file.write_text('{"queues": {"a": {}}}')
    assert main(["desk", "check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file} is valid: 1 queue.\n"
    assert main(["desk", "check", str(tmp_path / "none")]) == 1


def test_the_example_in_the_docs_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs/desk.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    assert read_settings(example.encode()).queues.keys() == {"sales", "complaints", "emergency"}
