"""DMARC (RFC 9989): is the domain in From proven by SPF or DKIM, and what does its owner ask for when it is not?

The tree walk of RFC 9989 finds policy and organisational domain; no public suffix list is used. What differs from
RFC 7489: `pct`, `rf` and `ri` are read and have no effect, `t=y` lowers the policy by one step instead, `np` is for
names that do not exist, `psd` says where an organisation begins, and a record anywhere between From and the top may be
the organisation's.
"""

from postroom.mailauth.dmarc.evaluate import Authenticated, Identifier, evaluate
from postroom.mailauth.dmarc.record import Policy, PolicyRecord, mailto, parse_policy_record
from postroom.mailauth.dmarc.result import DmarcResult, Result
from postroom.mailauth.dmarc.walk import TreeWalk, walked_names

__all__ = [
    "Authenticated", "DmarcResult", "Identifier", "Policy", "PolicyRecord", "Result", "TreeWalk", "evaluate", "mailto",
    "parse_policy_record", "walked_names",
]  # fmt: skip
