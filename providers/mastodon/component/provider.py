"""What Mastodon can do (https://docs.joinmastodon.org/api/). The host attaches the token; there is none in here."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from keyport import OTHER, PROVIDER_DOWN, Account, Failure, Host, Page, Provider, get, post

#: What every server takes; one may allow more.
POST = 500
#: The most that a timeline gives at once.
PAGE = 40


class App(Provider):
    def check(self, host: Host) -> Account:
        me = get(host, "/accounts/verify_credentials").success().json()
        if not isinstance(me, dict) or "id" not in me:
            raise Failure(PROVIDER_DOWN, "the server did not say whose token this is")
        # Each server has a numbering of its own.
        return Account(f"{_server(host)}:{me['id']}", _full(host, me["acct"]))

    def action_post_thread(self, host: Host, input: dict[str, Any]) -> dict[str, Any]:
        posts: list[dict[str, str]] = []
        parts = split(input["text"])
        for part in parts:
            status = {"status": part}
            if "visibility" in input:
                status["visibility"] = input["visibility"]
            if posts:
                status["in_reply_to_id"] = posts[-1]["id"]
            try:
                made = post(host, "/statuses", status).success().json()
            except Failure as failure:
                if not posts:
                    raise
                # What was posted stays; nothing may post the beginning again by itself.
                means = OTHER if failure.means == PROVIDER_DOWN else failure.means
                say = f"{len(posts)} of {len(parts)} posts were made; then: {failure.say}"
                raise Failure(means, say, code="partly_done", data={"posts": posts}) from None
            posts.append({"id": made["id"], "url": made["url"]})
        return {"posts": posts}

    def trigger_new_post(self, host: Host, input: dict[str, Any], cursor: str | None) -> Page:
        # The first poll says where to go on; `min_id` gives the oldest ones after it, so that none is passed over.
        query = {"limit": 1} if cursor is None else {"min_id": cursor, "limit": PAGE}
        found = get(host, "/timelines/home", query).success().json()
        newest = max((post["id"] for post in found), key=_age, default=cursor or "0")
        if cursor is None:
            return Page([], newest)
        events = [_event(host, one) for one in sorted(found, key=lambda one: _age(one["id"]))]
        return Page(events, newest, more=len(found) == PAGE)


def _age(id: str) -> tuple[int, str]:
    # Ids are numbers, too long for some; a longer one is younger.
    return len(id), id


def _event(host: Host, one: dict[str, Any]) -> dict[str, str]:
    return {
        "id": one["id"],
        "author": _full(host, one["account"]["acct"]),
        "text": text(one["content"]),
        "url": one["url"] or "",
        "created_at": one["created_at"],
    }


def _server(host: Host) -> str:
    return urlsplit(host.value("origin") or "").netloc


def _full(host: Host, acct: str) -> str:
    """An account's whole name: a server leaves its own name out."""
    return acct if "@" in acct else f"{acct}@{_server(host)}"


def split(whole: str) -> list[str]:
    """A text in pieces that fit a post, parted at paragraphs, sentences or words as far as there are any."""
    parts: list[str] = []
    rest = whole.strip()
    while len(rest) > POST:
        room = rest[:POST]
        at = 0
        for end in ("\n\n", "\n", ". ", " "):
            found = room.rfind(end)
            # A piece of a few words reads worse than one that ends within a sentence.
            if found > POST // 3:
                at = found + len(end)
                break
        at = at or POST
        parts.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    parts.append(rest)
    return parts


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.parts.append("\n")
        elif tag == "p" and self.parts:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text(content: str) -> str:
    """A post's HTML as text."""
    parser = _Text()
    parser.feed(content)
    parser.close()
    return "".join(parser.parts).strip()
