"""A search with the index finds what a search without it finds, in every language and coding."""

from __future__ import annotations

import asyncio
import base64
import quopri
import unicodedata
from collections.abc import Sequence
from email.header import Header

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_house import Unindexed, filled, found, keep

from postroom.mailbox import indexed
from postroom.message.folding import fold
from postroom.wire.imap.commands import Key, SearchKey

WORDS = [
    "Straße", "STRASSE", "İstanbul", "ISPARTA", "ısparta", "Müller", "Mu\u0308ller", "naïve",
    "cafe\u0301s", "Łódź", "Ørsted", "会议", "我们今天下午开会", "日本語のテキスト", "カタカナ",
    "ｶﾀｶﾅ", "がく", "か\u3099く", "한국어", "안녕하세요", "\u1112\u1161\u11ab", "สวัสดีครับ",
    "ที่นี่", "ภาษาไทย", "ພາສາລາວ", "ខ្មែរ", "မြန်မာ", "हिन्दी", "ক্ষ", "عَرَبِي", "عربي",
    "שָׁלוֹם", "ελληνικά", "Σίσυφος", "Привет", "Ёлка", "ＦＵＬＬ", "ｆｕｌｌ", "ﬁne", "½", "№5",
    "iPhone手机", "foo_bar", "a@example.org", "don't", "x" * 70, "1,234.5", "😀", "e\u0323\u0301",
    "\u00ad", "Å", "K", "ǅ",
]  # fmt: skip
GAPS = [" ", " ", " ", "", "\r\n", ", ", "。", "-", "\u00a0", "\u3000", "<b>", "</p>", "&amp;"]

_text = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), max_size=8).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    subject, words = draw(_text), draw(_text)
    kind = draw(st.sampled_from(["text/plain", "text/plain", "text/html", "application/x-secret"]))
    coding = draw(st.sampled_from(["8bit", "base64", "quoted-printable"]))
    charset = draw(st.sampled_from(["utf-8", "utf-16", "gb18030", ""]))
    octets = words.encode(charset or "utf-8")
    octets = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(coding, bytes)(octets)
    raw = draw(st.booleans())
    shown = subject.replace("\r\n", " ")
    head = f"Subject: {shown if raw else Header(shown, 'utf-8').encode()}\r\nX-Test: {draw(_text)!a}\r\n"
    label = f"; charset={charset}" if charset else ""
    inner = f"Content-Type: {kind}{label}\r\nContent-Transfer-Encoding: {coding}\r\n\r\n".encode() + octets
    if draw(st.booleans()):
        name = draw(st.sampled_from(["report.pdf", "=?utf-8?q?M=C3=BCller?=.txt"]))
        head += "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        inner = b"--b\r\n" + inner + f'\r\n--b\r\nContent-Disposition: attachment; filename="{name}"\r\n'.encode()
        inner += b"Content-Type: message/rfc822\r\n\r\n" + b"Subject: inner " + inner[:50] + b"\r\n\r\nwithin\r\n--b--"
    return head.encode("utf-8", "replace") + inner


@st.composite
def needles(draw: st.DrawFn) -> str:
    words = draw(_text.filter(bool))
    start = draw(st.integers(0, max(len(words) - 1, 0)))
    return words[start : start + draw(st.integers(1, 6))]


async def compare(messages: Sequence[bytes], keys: Sequence[SearchKey]) -> None:
    account = await filled(messages)
    await keep(account)
    for key in keys:
        plain = await found(Unindexed(account), key)  # type: ignore[arg-type]
        assert await found(account, key) == plain, key
        assert await found(account, SearchKey(Key.NOT, keys=(key,))) == sorted(
            {*range(1, len(messages) + 1)} - {*plain}
        )


@pytest.fixture(autouse=True)
def _always_ask_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_FEW", 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(mails(), min_size=1, max_size=5), st.lists(needles(), min_size=1, max_size=6))
def test_what_is_found_with_the_index_is_found_without(messages: list[bytes], wanted: list[str]) -> None:
    wanted += ["ject: ", "x-te", "content-type: text", "within", "inner"]
    keys = [SearchKey(kind, text=each) for each in wanted for kind in (Key.BODY, Key.TEXT)]
    keys += [SearchKey(Key.HEADER, name=name, text=each) for each in wanted for name in ("X-Test", "Content-Type")]
    asyncio.run(compare(messages, keys))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_piece_of_every_word_is_found(size: int) -> None:
    messages = [
        f"Subject: {number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{word}".encode()
        for number, word in enumerate(WORDS)
    ]
    pieces = {word[at : at + size] for word in WORDS for at in range(len(word) - size + 1) if not word.startswith("xx")}
    keys = [SearchKey(Key.BODY, text=piece) for piece in sorted(pieces)]

    async def work() -> None:
        account = await filled(messages)
        await keep(account)
        for key in keys:
            hits = await found(account, key)
            assert hits == await found(Unindexed(account), key)  # type: ignore[arg-type]
            holders = [n for n, word in enumerate(WORDS, 1) if key.text in unicodedata.normalize("NFC", word)]
            if not any("\u1100" <= char <= "\u11ff" for char in key.text):
                assert set(holders) <= set(hits), key

    asyncio.run(work())


def casemap(text: str) -> str:
    """RFC 5051 2.3: titlecase, then decomposed, without what is not in the tables (Korean syllables)."""
    out = []
    for char in text:
        title = char.title()
        title = title if len(title) == 1 else char
        korean = "\uac00" <= title <= "\ud7a3"
        out.append(title if korean else unicodedata.normalize("NFKD", title))
    return "".join(out)


@given(st.text(max_size=12), st.text(max_size=3), st.text(max_size=12))
def test_what_unicode_casemap_finds_is_found(before: str, wanted: str, after: str) -> None:
    text = before + wanted.swapcase() + after
    if any("\u1100" <= char <= "\u11ff" for char in text):
        return  # single letters of Korean are put together to syllables
    if casemap(wanted) in casemap(text):
        assert fold(wanted) in fold(text)
