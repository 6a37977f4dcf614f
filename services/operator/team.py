"""Who is at the desk, with how much to do: from the accounts, the bucket, the leases and the lists."""

from __future__ import annotations

import time
from typing import Final

from services.operator.accounts import Accounts
from services.operator.desk import Desk
from services.operator.desk_state import DeskState
from services.operator.domain.assignment import DeskOperator
from services.operator.domain.availability import Availability, availability
from services.operator.domain.decisions import Operator
from services.operator.domain.leases import Leases

#: How often the accounts are read (seconds).
ACCOUNTS_SECONDS: Final = 10.0


class DeskTeam:
    """All who may log in."""

    def __init__(self, state: DeskState, leases: Leases, accounts: Accounts, desk: Desk) -> None:
        self._state = state
        self._leases = leases
        self._accounts = accounts
        self._desk = desk
        self._known: dict[str, Operator] = {}
        self._read = -ACCOUNTS_SECONDS

    async def people(self) -> dict[str, Operator]:
        """By account; some seconds old. Raises `Unavailable`."""
        now = time.monotonic()
        if now - self._read >= ACCOUNTS_SECONDS:
            self._known, self._read = {who.name: who for who in await self._accounts.all()}, now
        return self._known

    async def operators(self) -> list[DeskOperator]:
        """Raises `Unavailable` and `DeskError`."""
        people = await self.people()
        loads, gifts = self._desk.loads(), self._desk.gifts()
        return [
            DeskOperator(name, self.available(name), loads.get(name, 0), gifts.get(name, 0))
            for name in people
        ]

    def available(self, account: str) -> Availability:
        return availability(self._state.chosen(account), self._leases.present(account))
