"""CPU of the SMTP session object alone: a whole dialog with one 4 KiB message, no sockets. Prints microseconds."""

from __future__ import annotations

import sys
import timeit

from postroom.wire.smtp import Body, Mail, Profile, Rcpt, ServerOptions, ServerSession

TEXT = b"Subject: test\r\nFrom: a@example.org\r\n\r\n" + (b"x" * 70 + b"\r\n") * 56
OPTIONS = {
    profile: ServerOptions(hostname="mx.example.org", profile=profile, text_line=limit)
    for profile, limit in ((Profile.MX, 8192), (Profile.LMTP, 998))
}


def dialog(options: ServerOptions, turns: list[bytes]) -> bytes:
    """Everything that happens to one connection; the turns as they arrive."""
    session = ServerSession(options)
    session.greet()
    session.data_to_send()
    for turn in turns:
        session.feed(turn)
        while (event := session.next_event()) is not None:
            if type(event) is Mail or type(event) is Rcpt:
                session.ok()
            elif type(event) is Body and event.last:
                session.accept("Queued as 0123456789")
        out = session.data_to_send()
    return out


def main(rounds: int) -> None:
    """Best of five for each case."""
    for profile, options in OPTIONS.items():
        hello = b"LHLO" if profile is Profile.LMTP else b"EHLO"
        steps = [hello + b" client.example.net\r\n", b"MAIL FROM:<a@example.org>\r\n", b"RCPT TO:<b@example.com>\r\n"]
        steps += [b"DATA\r\n", TEXT + b".\r\n", b"QUIT\r\n"]
        dotted = TEXT.replace(b"x" * 70, b"." + b"x" * 69, 1)
        cases = {
            "six round trips": steps,
            "envelope pipelined": [steps[0], b"".join(steps[1:4]), steps[4], steps[5]],
            "HELO instead": [b"HELO x\r\n", *steps[1:]] if profile is Profile.MX else steps,
            "a line begins with a dot": [*steps[:4], dotted.replace(b"\r\n.", b"\r\n..") + b".\r\n", steps[5]],
            "BDAT": [*steps[:3], b"BDAT %d LAST\r\n" % len(TEXT) + TEXT, steps[5]],
            "body in 1 KiB pieces": [*steps[:4], *(TEXT[n : n + 1024] for n in range(0, len(TEXT), 1024)), b".\r\n"],
        }
        for name, turns in cases.items():
            assert dialog(options, turns)[:1] == b"2"
            best = min(timeit.repeat(lambda o=options, t=turns: dialog(o, t), number=rounds, repeat=5)) / rounds
            print(f"{profile.value:10} {name:28} {best * 1e6:7.1f} us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
