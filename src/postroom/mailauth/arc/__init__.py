"""ARC: a message's chain of custody, verified and continued (RFC 8617).

ArcVerifier(header, hashes) … await .result(dns); seal(header, body digest, arc result, results, key, now). The rest of
the package is their inside.
"""

from postroom.mailauth.arc.seal import seal
from postroom.mailauth.arc.verify import ArcLink, ArcResult, ArcVerifier

__all__ = ["ArcLink", "ArcResult", "ArcVerifier", "seal"]
