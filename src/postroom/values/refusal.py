"""A refusal carries its own reply.

Whoever finds the fault knows the SMTP code, the enhanced code and whether a retry can help. `public` goes to the
peer and is harmless; `reason` is for our log only.
"""

from __future__ import annotations


class Refusal(Exception):
    """Something asked of us that we will not, or cannot now, do.

    code: RFC 5321 4.2 reply code (4yz try again, 5yz give up); enhanced: RFC 3463 code such as "5.7.1";
    public: one line of ASCII for the peer; reason: for our log, may name internals; retry_in: seconds after which it
    can succeed, 0 when that is not known.
    """

    def __init__(self, code: int, enhanced: str, public: str, *, reason: str = "", retry_in: float = 0.0) -> None:
        super().__init__(reason or public)
        self.code = code
        self.enhanced = enhanced
        self.public = public
        self.reason = reason or public
        self.retry_in = retry_in

    @property
    def temporary(self) -> bool:
        """RFC 5321 4.2.1: 4yz means the same command may succeed later."""
        return self.code // 100 == 4
