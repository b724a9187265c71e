"""The corpus and generated mail, compared with what is known of them and with the standard library."""

from __future__ import annotations

import email
import email.generator
import email.message
import email.mime.application
import email.mime.message
import email.mime.multipart
import email.mime.text
import email.policy
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.decode import decode_parameters, decode_transfer, decode_words, parse_addresses, to_text
from postroom.message.fields import field_values, header_fields
from postroom.message.index import index
from postroom.message.parts import LEAF, MESSAGE, MULTIPART, Part, Parts

from .corpus import CORPUS
from .imap_reader import read_body, read_envelope


def leaves(octets: bytes) -> list[tuple[str, str | bytes, str]]:
    found: list[tuple[str, str | bytes, str]] = []
    for part in Parts.unpack(index(octets).parts).walk():
        if part.kind != LEAF:
            continue
        header = octets[part.header_start : part.body_start]
        names = [
            decode_parameters(value).get(key, "")
            for field, key in ((b"content-disposition", "filename"), (b"content-type", "name"))
            for value in field_values(header, field)
        ]
        data = decode_transfer(octets[part.body_start : part.end], part.encoding)
        content = to_text(data, part.charset) if part.type == "text" else data
        found.append((part.content_type, content, next(filter(None, names), "")))
    return found


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    sample = CORPUS[name]
    found = index(sample.octets)
    assert decode_words(read_envelope(found.envelope)["subject"]) == sample.subject  # type: ignore[arg-type]
    read_body(found.structure)
    read_body(found.bodystructure, extended=True)
    assert leaves(sample.octets) == list(sample.leaves)


@pytest.mark.parametrize("name", CORPUS)
def test_corpus_agrees_with_the_standard_library(name: str) -> None:
    sample = CORPUS[name]
    if sample.stdlib:
        assert ours(sample.octets) == theirs(sample.octets)


def ours(octets: bytes) -> object:
    parts = Parts.unpack(index(octets).parts)

    def shape(part: Part) -> object:
        if part.kind in (MULTIPART, MESSAGE):
            return (part.content_type, [shape(child) for child in parts.children(part)])
        return (part.content_type, decode_transfer(octets[part.body_start : part.end], part.encoding))

    return shape(parts.root)


def theirs(octets: bytes) -> object:
    def shape(part: email.message.Message) -> object:
        if part.is_multipart():
            return (part.get_content_type(), [shape(child) for child in part.get_payload()])  # type: ignore[arg-type]
        return (part.get_content_type(), part.get_payload(decode=True))

    return shape(email.message_from_bytes(octets))


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=40)
TEXTS = st.lists(WORDS, max_size=5).map("\n".join)


def _text(text: str, charset: str, sub: str) -> email.message.Message:
    return email.mime.text.MIMEText(text.encode(charset, "replace").decode(charset), sub, charset)


def _multipart(parts: list[email.message.Message], sub: str) -> email.message.Message:
    return email.mime.multipart.MIMEMultipart(sub, None, parts)


def _forward(inner: email.message.Message) -> email.message.Message:
    return email.mime.message.MIMEMessage(inner)


LEAVES = st.builds(
    _text, TEXTS, st.sampled_from(["utf-8", "iso-8859-1", "koi8-r", "us-ascii"]), st.sampled_from(["plain", "html"])
) | st.builds(email.mime.application.MIMEApplication, st.binary(max_size=200))
TREES = st.recursive(
    LEAVES,
    lambda parts: (
        st.builds(
            _multipart,
            st.lists(parts, min_size=1, max_size=4),
            st.sampled_from(["mixed", "alternative", "related", "digest"]),
        )
        | st.builds(_forward, parts)
    ),
    max_leaves=8,
)


def _flatten(message: email.message.Message) -> bytes:
    out = BytesIO()
    email.generator.BytesGenerator(out, policy=email.policy.compat32.clone(linesep="\r\n")).flatten(message)
    return out.getvalue()


@given(TREES)
def test_generated_mail_agrees_with_the_standard_library(message: email.message.Message) -> None:
    octets = _flatten(message)
    assert ours(octets) == theirs(octets)
    read_body(index(octets).bodystructure, extended=True)


NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N"), include_characters=' ,"\\()<>@;:.'), max_size=20)
ATOMS = st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,8}(\.[a-z0-9]{1,5})?", fullmatch=True)


@given(WORDS, st.lists(st.tuples(NAMES, ATOMS, st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True)), max_size=5))
def test_header_text_agrees_with_the_standard_library(subject: str, people: list[tuple[str, str, str]]) -> None:
    message = email.message.EmailMessage()
    message["Subject"] = " ".join(subject.split())
    if people:
        message["To"] = [
            email.headerregistry.Address(" ".join(name.split()), local, domain) for name, local, domain in people
        ]
    octets = message.as_bytes(policy=email.policy.SMTP)
    values = {name.lower(): value for name, value in header_fields(octets)}
    assert decode_words(values[b"subject"]).split() == subject.split()
    found = parse_addresses(values.get(b"to", b""))
    assert [(entry.local, entry.domain) for entry in found] == [(local, domain) for _, local, domain in people]
    again = email.message_from_bytes(octets, policy=email.policy.default)
    expected = [each.display_name for each in again["To"].addresses] if people else []
    assert ["".join(entry.name.split()) for entry in found] == ["".join(name.split()) for name in expected]
