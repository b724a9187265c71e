"""Part offsets of a message that got more header fields in front."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.index import index
from postroom.message.parts import shifted

PIECES = st.lists(
    st.sampled_from(
        [
            b"Content-Type: multipart/mixed; boundary=x\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"\r\n",
            b"--x\r\n",
            b"--x--\r\n",
            b"text\r\n",
        ]
    ),
    max_size=20,
)


@given(PIECES, st.integers(0, 500), st.integers(0, 500))
def test_shifting_is_the_same_as_indexing_with_another_lead(pieces: list[bytes], before: int, after: int) -> None:
    message = b"".join(pieces)
    assert shifted(index(message, before).parts, after - before) == index(message, after).parts


def test_what_pack_did_not_write() -> None:
    with pytest.raises(ValueError, match="not packed parts"):
        shifted(b"\0", 1)
