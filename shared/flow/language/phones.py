"""Telephone numbers in the form of E.164, by Google's libphonenumber, imported with the first number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from shared.flow.language.comparison import unified
from shared.flow.language.formats import with_plain_digits

#: Longer texts are no numbers (characters).
_MAX_LENGTH: Final = 80
#: Spoken in so many countries that a number without one says nothing.
_EVERYWHERE: Final = frozenset(["en", "ar"])

_SCHEME = re.compile(r"(?:tel|callto|sms):(?://)?", re.IGNORECASE)
#: What people write before a number: "Phone: ...", "Tel. ...".
_LABEL = re.compile(
    r"(?:tel(?:efon(?:nummer|e|o)?)?|tel[eé]fono|t[eé]l(?:[eé]phone)?"
    r"|phone(?: number)?|mobil(?:e|telefon)?|handy"
    r"|cell(?:phone)?|whatsapp"
    r"|тел(?:ефон)?|電話|电话|手机|手機|전화|โทร|هاتف|טלפון|फ़ोन|फोन)(?:[.:]+ *| +)(?=[+(0-9])",
    re.IGNORECASE,
)
_EXTENSION = re.compile(
    r"[\s,;]*(?:;\s*ext=|\b(?:extension|ext|xtn|x|dw|durchwahl|poste|anexo|int|доб|вн)\b\.?:?|(?<=[0-9)\s,])(?:ext|x|#))"
    r"\s*([0-9]{1,7})#?$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:\(\+[0-9]{1,3}\)|\+)?[0-9()\s./-]+")


def phone(text: str, region: str, languages: Sequence[str]) -> str | None:
    """The number as ``+49301234567``, or with its extension ``+49301234567;ext=12`` (RFC 3966).

    ``region`` is the country of a number without one, as the flow says; "" leaves it to the languages of
    the conversation. Where these do not tell it either the number stays national: its digits.
    """
    if len(text) > _MAX_LENGTH or (plain := with_plain_digits(unified(text).strip())) is None:
        return None
    plain = _SCHEME.sub("", plain, count=1) if _SCHEME.match(plain) else plain
    plain = _LABEL.sub("", plain, count=1) if _LABEL.match(plain) else plain
    extension = _EXTENSION.search(plain)
    if extension:
        plain = plain[: extension.start()]
    plain = plain.strip().rstrip(".")
    if not _NUMBER.fullmatch(plain):
        return None
    number = _number(re.sub(r"^\((\+[0-9]+)\)", r"\1 ", plain), region, languages)
    return number and number + (f";ext={extension[1]}" if extension else "")


def is_region(region: str) -> bool:
    """Whether there are telephone numbers of this country."""
    import phonenumbers

    return region in phonenumbers.SUPPORTED_REGIONS


def _number(text: str, region: str, languages: Sequence[str]) -> str | None:
    digits = re.sub(r"[^0-9]", "", text)
    if text.startswith("+"):
        return _parsed(text, None)
    if region and (found := _parsed(text, region, whole=True)):
        return found
    if digits.startswith("00") and (found := _parsed(f"+{digits[2:]}", None)):
        return found
    if region:
        return None
    homes = {home for language in languages if (home := _home(language))}
    if len(homes) == 1 and (found := _parsed(text, homes.pop(), valid=True)):
        return found
    return digits if 5 <= len(digits) <= 15 else None


def _parsed(text: str, region: str | None, whole: bool = False, valid: bool = False) -> str | None:
    """The number in E.164; None for what cannot be one.

    Possible by its length is enough: lists of the numbers in use grow old, and made-up ones are for tests.
    A country that only the language tells needs more: there the number must be ``valid``. ``whole``: a
    number without its area code is none.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if (
        whole
        and phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE
    ):
        return None
    fits = phonenumbers.is_valid_number(number) if valid else phonenumbers.is_possible_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if fits else None


@lru_cache(maxsize=256)
def _home(language: str) -> str:
    """The country that a language's tag names, or in which most of its speakers live; "" for none."""
    from langcodes import Language
    from langcodes.tag_parser import LanguageTagError

    try:
        tag = Language.get(language)
    except (LanguageTagError, ValueError):
        return ""
    if tag.territory is None and tag.language in _EVERYWHERE:
        return ""
    home = tag.maximize().territory or ""
    return home if is_region(home) else ""
