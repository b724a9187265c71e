"""The extensions scripts may require, and the comparators.

Standards: RFC 5228 3.2 and 6; each extension's own, named in `EXTENSIONS`.
"""

from __future__ import annotations

from typing import Final

#: capability -> the document that defines it
EXTENSIONS: Final = {
    "body": "RFC 5173",
    "comparator-i;ascii-casemap": "RFC 5228",
    "comparator-i;ascii-numeric": "RFC 4790",
    "comparator-i;octet": "RFC 5228",
    "comparator-i;unicode-casemap": "RFC 5051",
    "copy": "RFC 3894",
    "date": "RFC 5260",
    "duplicate": "RFC 7352",
    "editheader": "RFC 5293",
    "enclose": "RFC 5703",
    "encoded-character": "RFC 5228",
    "enotify": "RFC 5435",
    "envelope": "RFC 5228",
    "environment": "RFC 5183",
    "ereject": "RFC 5429",
    "extracttext": "RFC 5703",
    "fcc": "RFC 8580",
    "fileinto": "RFC 5228",
    "foreverypart": "RFC 5703",
    "ihave": "RFC 5463",
    "imap4flags": "RFC 5232",
    "imapsieve": "RFC 6785",
    "include": "RFC 6609",
    "index": "RFC 5260",
    "mailbox": "RFC 5490",
    "mailboxid": "RFC 9042",
    "mboxmetadata": "RFC 5490",
    "mime": "RFC 5703",
    "regex": "draft-ietf-sieve-regex",
    "reject": "RFC 5429",
    "relational": "RFC 5231",
    "replace": "RFC 5703",
    "servermetadata": "RFC 5490",
    "spamtest": "RFC 5235",
    "spamtestplus": "RFC 5235",
    "special-use": "RFC 8579",
    "subaddress": "RFC 5233",
    "vacation": "RFC 5230",
    "vacation-seconds": "RFC 6131",
    "variables": "RFC 5229",
    "virustest": "RFC 5235",
}

#: RFC 6131 2, RFC 5235 3.2: requiring the one allows the other
IMPLIED: Final = {"vacation-seconds": "vacation", "spamtestplus": "spamtest"}

#: RFC 5463 4: these change how a script is read, so a test cannot switch them on
NOT_BY_TEST: Final = frozenset(("encoded-character", "variables", "include"))

#: RFC 5228 2.7.3: comparators that need no require
FREE_COMPARATORS: Final = frozenset(("i;octet", "i;ascii-casemap"))

#: RFC 6785 3.11: made for mail that arrives; a script that is run for an event of IMAP ends with an error
ONLY_AT_DELIVERY: Final = frozenset(("reject", "ereject", "vacation", "vacation-seconds"))

#: RFC 5435 7: methods of notify, for ManageSieve
NOTIFY_METHODS: Final = ("mailto",)
