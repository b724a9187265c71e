"""Sender Policy Framework (RFC 7208, RFC 8616): may this host send for this domain?

`check` is for the MAIL FROM identity (postmaster of the HELO name when the reverse-path is null), `check_helo` for the
HELO name alone. Both give an SpfResult that says why in plain words.
"""

from postroom.mailauth.spf.check import check, check_helo
from postroom.mailauth.spf.record import BadRecord, Directive, Record, parse_record
from postroom.mailauth.spf.result import Result, SpfResult

__all__ = ["BadRecord", "Directive", "Record", "Result", "SpfResult", "check", "check_helo", "parse_record"]
