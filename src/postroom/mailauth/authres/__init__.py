"""Authentication-Results (RFC 8601): printed, read, and fields removed that only pretend to be ours.

results = (*dkim_results(found), spf_result(spf, sender, helo), dmarc_result(dmarc), arc_result(arc, ip))
field = AuthenticationResults("mail.example.org", results).field()
header = remove_forged(header, ["mail.example.org"])
"""

from postroom.mailauth.authres.forged import claims, remove_forged
from postroom.mailauth.authres.parse import BadResults, parse
from postroom.mailauth.authres.print import AuthenticationResults, MethodResult, Property
from postroom.mailauth.authres.results import arc_result, dkim_results, dmarc_result, spf_result

__all__ = [
    "AuthenticationResults",
    "BadResults",
    "MethodResult",
    "Property",
    "arc_result",
    "claims",
    "dkim_results",
    "dmarc_result",
    "parse",
    "remove_forged",
    "spf_result",
]
