"""What @@NAME@@ can do. The host attaches the credential to every request; there is none in here."""

from __future__ import annotations

from typing import Any

from keyport import PROVIDER_DOWN, Account, Failure, Host, Provider, get

#: Where an answer has the account's id and label, best first.
IDS: list[list[str]] = @@ID_PATHS@@
LABELS: list[list[str]] = @@LABEL_PATHS@@


def first(body: Any, paths: list[list[str]]) -> str | None:
    """The first value at one of these paths, as text."""
    for path in paths:
        value = body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value not in (None, ""):
            return str(value)
    return None


class App(Provider):
    def check(self, host: Host) -> Account:
        body = get(host, "@@TEST_PATH@@").success().json()
        id = first(body, IDS)
        if id is None:
            raise Failure(PROVIDER_DOWN, "@@NAME@@ did not say whose credential this is")
        return Account(id, first(body, LABELS) or id)

    def action_get_account(self, host: Host, input: dict[str, Any]) -> dict[str, str]:
        account = self.check(host)
        return {"id": account.id, "label": account.label}
