"""Whether a message holds what a text of the query language asks for: the truth that the index narrows down.

What people see of a message is its addresses, its subject, the names of its files and its text (Scope.ANY).
Trusts nothing in messages. On failure: OSError when a content cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from postroom.index.documents import shown_texts
from postroom.index.query import Has, Header, Scope, Text
from postroom.index.query_words import KINDS
from postroom.index.terms import Wanted
from postroom.mailbox import envelope
from postroom.mailbox.attachments import leaves
from postroom.mailbox.texts import header_matcher
from postroom.message.folding import fold
from postroom.message.parts import Parts
from postroom.message.search import body_text
from postroom.values.content import Content

#: rendered column to whether each matches
ColumnTest = Callable[[Sequence[bytes]], Sequence[bool]]
ContentTest = Callable[[Content, bytes], bool]

_ADDRESSES: Final = (envelope.FROM, envelope.TO, envelope.CC, envelope.BCC)
#: fields of the ENVELOPE that a scope looks into
PLACES: Final[dict[Scope, tuple[int, ...]]] = {
    Scope.SUBJECT: (envelope.SUBJECT,),
    Scope.FROM: (envelope.FROM,),
    Scope.TO: (envelope.TO,),
    Scope.CC: (envelope.CC,),
    Scope.BCC: (envelope.BCC,),
    Scope.WITH: _ADDRESSES,
    Scope.MESSAGE_ID: (envelope.MESSAGE_ID,),
}
#: characters a piece of a long text repeats of the one before
_OVERLAP: Final = 200


def wanted(text: Text) -> Wanted:
    """What a text of the query stands for."""
    return Wanted.of(text.text, at_word=not text.phrase)


def envelope_test(text: Text) -> ColumnTest:
    """Does an ENVELOPE hold it, in the fields of its scope?"""
    looked_for, places = wanted(text), PLACES[text.scope]

    def matches(found: bytes) -> bool:
        shown = (envelope.text(found, place) for place in places)
        return any(looked_for.within(fold(each)) for each in shown if each)

    return lambda envelopes: list(map(matches, envelopes))


def names_test(text: Text) -> ColumnTest:
    """Does a BODYSTRUCTURE name a file so?"""
    looked_for = wanted(text)
    return lambda found: [
        any(looked_for.within(fold(leaf.name)) for leaf in leaves(each) if leaf.name) for each in found
    ]


def kind_test(has: Has) -> ColumnTest:
    """Does a BODYSTRUCTURE have a part of this kind?"""
    types, ends = KINDS.get(has.kind, ((), ()))

    def matches(found: bytes) -> bool:
        if has.kind == "attachment":
            return any(leaf.attached for leaf in leaves(found))
        return any(leaf.type.startswith(types) or leaf.name.lower().endswith(ends) for leaf in leaves(found))

    return lambda found: list(map(matches, found))


def body_test(text: Text) -> ContentTest:
    """Does the text of the message hold it, or for Scope.ANY what else people see of it?"""
    looked_for = wanted(text)
    anywhere = text.scope is Scope.ANY

    def matches(content: Content, parts: bytes) -> bool:
        unpacked = Parts.unpack(parts)
        if anywhere and any(looked_for.within(fold(each)) for each in shown_texts(content.read, unpacked)):
            return True
        return any(looked_for.within(piece) for piece in body_text(content.read, unpacked, _OVERLAP))

    return matches


def header_test(node: Header | Text) -> ContentTest:
    """Does a header field hold it: one by name, or for Scope.LIST the one that names the list?"""
    if isinstance(node, Header):
        return header_matcher(node.name, node.text)
    return header_matcher("List-Id", node.text)
