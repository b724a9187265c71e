"""DKIM and ARC: signatures made and verified per CPU second, and octets canonicalised and hashed.

    python bench/bench_dkim.py            all figures, one JSON object a line
CPU time of this process (user and system), one core; the DNS is zone data in memory.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from postroom.mailauth.arc import ArcVerifier, seal
from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import BODY_FORM, DkimVerifier, SigningKey, generate_key, sign
from postroom.mailauth.header import Canonical, split_message
from postroom.mailauth.zone import ZoneData, finished

NOW = 1_700_000_000
HEADER = b"".join(
    [
        b"Received: from a.example.net (a.example.net [192.0.2.1])\r\n by mx.example.org with ESMTPS id 1;\r\n"
        b" Fri, 11 Jul 2003 21:01:54 -0700\r\n" * 3,
        b"From: Ann Example <ann@example.org>\r\nTo: Bob <bob@example.net>,\r\n Carl <carl@example.net>\r\n",
        b"Subject: What we said on Monday about the plan for Tuesday\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700\r\n",
        b"Message-ID: <20030712040037.46341@example.org>\r\nMIME-Version: 1.0\r\n",
        b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n',
    ]
)


def per_second(work: Callable[[], object], seconds: float = 1.0) -> float:
    """Runs of `work` per second of CPU."""
    work()
    runs, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        for _ in range(20):
            work()
        runs += 20
    return runs / (time.process_time() - begun)


def bodies() -> dict[str, bytes]:
    chance = random.Random(1)
    words = [b"the", b"plan", b"of", b"Tuesday", b"is", b"to", b"go", b"wherever", b"somebody", b"wants", b"us"]
    line = [b" ".join(chance.choices(words, k=14)) for _ in range(16_000)]
    html = [b" " * chance.randrange(0, 16, 2) + b"<p class=x>" + text[:60] + b"</p>" for text in line]
    return {
        "text": b"\r\n".join(line)[: 1 << 20],
        "base64": b"\r\n".join(base64.b64encode(chance.randbytes(57)) for _ in range(13_500))[: 1 << 20],
        "html": b"\r\n".join(html)[: 1 << 20],
    }


def hashing(body: bytes, form: Canonical) -> None:
    hashes = BodyHashes()
    hashes.want(form)
    hashes.update(body)
    hashes.digest(form)


def verifying(message: bytes, dns: ZoneData) -> None:
    header, body = split_message(message)
    verifier = DkimVerifier(header)
    verifier.body(body)
    results = finished(verifier.results(dns, NOW))
    assert all(one.result == "pass" for one in results)


def told(what: str, value: float, unit: str) -> None:
    print(json.dumps({"what": what, "value": round(value, 1), "unit": unit}), flush=True)


def main() -> None:
    for name, body in bodies().items():
        for form in Canonical:
            rate = per_second(lambda body=body, form=form: hashing(body, form), 0.5)
            told(f"canonicalise and hash, {name}, {form}", rate * len(body) / 1e6, "MB/s")
    keys = {
        "rsa-2048": SigningKey.load("example.org", "r", generate_key()),
        "ed25519": SigningKey.load("example.org", "e", generate_key("ed25519")),
    }
    dns = ZoneData({key.record_name: {"TXT": [key.record]} for key in keys.values()})
    body = bodies()["text"][:4096] + b"\r\n"
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(body)
    digest = hashes.digest(BODY_FORM)
    for name, chosen in [*((name, [key]) for name, key in keys.items()), ("both", [*keys.values()])]:
        told(f"sign a 4 KiB message, {name}", per_second(lambda chosen=chosen: sign(HEADER, digest, chosen, NOW)), "/s")
        message = sign(HEADER, digest, chosen, NOW) + HEADER + body
        told(f"verify a 4 KiB message, {name}", per_second(lambda message=message: verifying(message, dns)), "/s")
    told("look at a 4 KiB message without a signature", per_second(lambda: verifying(HEADER + body, dns)), "/s")
    chain(HEADER, body, keys["rsa-2048"], dns)


def chain(header: bytes, body: bytes, key: SigningKey, dns: ZoneData) -> None:
    """ARC chains of one and of three sets."""

    def arrived(header: bytes) -> tuple[object, object]:
        hashes = BodyHashes()
        verifier = ArcVerifier(header, hashes)
        hashes.want(BODY_FORM)
        hashes.update(body)
        return finished(verifier.result(dns, NOW)), hashes.digest(BODY_FORM)

    for length in (1, 2, 3):
        found, digest = arrived(header)
        header = seal(header, digest, found, b"example.org; none", key, NOW) + header
        if length != 2:
            told(f"verify a chain of {length}", per_second(lambda header=header: arrived(header)), "/s")


if __name__ == "__main__":
    main()
