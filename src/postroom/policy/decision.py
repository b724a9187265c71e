"""What a policy answers: yes, or no with a text for the peer that says the limit and when it ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Admission:
    """ok, or a harmless line of ASCII for the peer. final: trying again will not help."""

    ok: bool
    text: str = ""
    final: bool = False


ADMITTED = Admission(True)
