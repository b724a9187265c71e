"""The client's end of SMTP, for handing mail on: bytes in, events out; messages in, bytes out.

Purpose: greeting, EHLO (or HELO), STARTTLS, AUTH, then any number of messages; commands are sent together where the
server offers PIPELINING. `feed` what arrived, take events with `next_event`, send `data_to_send()`.
Ownership: the dialog's state; the text is handed on at once, dot-stuffed.
Trust: the server may be hostile: replies are bounded, and what came before TLS is forgotten after it.
Standards: RFC 5321, RFC 2920, RFC 3207, RFC 4954, RFC 1870, RFC 6152, RFC 6531, RFC 3461, RFC 9422.
On failure: `Failed` before the session is open, `Finished` with the reason for each recipient after. `closed`: no
further message can be sent here.
"""

from __future__ import annotations

import binascii
import re
from collections import deque
from typing import Final

from postroom.wire.lines import LineFault, LineReader, Stuffer
from postroom.wire.sasl.clients import LoginClient, PlainClient, choose_client
from postroom.wire.sasl.server import SaslFault, decode_base64
from postroom.wire.smtp.arguments import encode_xtext
from postroom.wire.smtp.client_types import (
    ClientOptions,
    Failed,
    Finished,
    Outgoing,
    OutgoingRecipient,
    Ready,
    Reply,
    Result,
    SendBody,
    read_reply,
)
from postroom.wire.smtp.events import StartTls

_LINE: Final = 4096  # RFC 5321 4.5.3.1.5 says 512; long texts are common
_LINES: Final = 128
_BEYOND: Final = Reply(452, "4.5.3", "More recipients than the server takes in one message", local=True)
_REPLY = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)

ClientEvent = StartTls | Ready | SendBody | Finished | Failed


class ClientSession:
    """One connection to one server."""

    __slots__ = (
        "_code",
        "_expected",
        "_mechanism",
        "_message",
        "_options",
        "_out",
        "_reader",
        "_replies",
        "_reset",
        "_script",
        "_stage",
        "_stuffer",
        "_texts",
        "capabilities",
        "closed",
        "heard",
        "secure",
        "server",
    )

    def __init__(self, options: ClientOptions, *, secure: bool = False) -> None:
        """secure: TLS is active already (port 465)."""
        self.capabilities: dict[str, str] = {}  # EHLO keywords in upper case and their parameters
        self.secure = secure
        self.closed = False
        self.heard = 0  # replies that have come
        self.server = ""  # what the server calls itself in its answer to EHLO, lower case
        self._options = options
        self._reader = LineReader(_LINE)
        self._out: list[bytes] = []
        self._code = 0
        self._texts: list[str] = []
        self._stage = "greeting"
        self._mechanism: PlainClient | LoginClient | None = None
        self._message: Outgoing | None = None
        self._script: deque[tuple[str, bytes]] = deque()  # commands not sent yet: stage and line
        self._expected: deque[str] = deque()  # stages of commands whose reply has not come
        self._replies: list[tuple[str, Reply]] = []  # of this message
        self._stuffer: Stuffer | None = None
        self._reset = False  # the last message left a transaction open

    def feed(self, data: bytes) -> None:
        """Add octets that arrived."""
        self._reader.feed(data)

    def data_to_send(self) -> bytes:
        """What is to be sent, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> ClientEvent | None:
        """The next thing to do; None when more input is needed."""
        while not self.closed:
            line = self._reader.line()
            if line is None:
                return None
            reply = self._protocol_fault() if isinstance(line, LineFault) else self._line(line)
            if reply is not None:
                event = self._reply(reply)
                if event is not None:
                    return event
        return None

    def secured(self) -> None:
        """The handshake is done: say EHLO again, forget what was said before (RFC 3207 4.2)."""
        self._reader.clear()
        self.capabilities = {}
        self.secure = True
        self._hello()

    def send(self, message: Outgoing) -> Finished | None:
        """Begin a message. Gives the end at once when this server cannot take it."""
        fault = self._unfit(message)
        if fault is not None:
            return Finished(tuple(Result(one, fault, "MAIL") for one in message.recipients))
        self._message = message
        self._replies = []
        script = self._script = deque([("RSET", b"RSET\r\n")] if self._reset else [])
        script.append(("MAIL", self._mail_line(message)))
        script.extend(("RCPT", self._rcpt_line(one, message)) for one in self._within_limit(message))
        script.append(("DATA", b"DATA\r\n"))
        self._reset = True
        self._stage = "envelope"
        if "PIPELINING" in self.capabilities:  # RFC 2920 3.1: DATA may be the last of a group
            while script:
                self._next_command()
        else:
            self._next_command()
        return None

    def body(self, chunk: bytes) -> None:
        """Octets of the message, in any pieces. If its source fails midway, abort the connection: never end it."""
        assert self._stuffer is not None
        data = self._stuffer.feed(chunk)
        if data:
            self._out.append(data)

    def end_body(self) -> None:
        """The message is complete."""
        assert self._stuffer is not None
        self._out.append(self._stuffer.end())
        self._stuffer = None
        self._stage = "end"
        self._expected.append("end")

    def quit(self) -> None:
        """Say QUIT; nobody waits for the answer."""
        self._out.append(b"QUIT\r\n")
        self.closed = True

    def lost(self, text: str) -> Finished | Failed:
        """The connection is gone, or a deadline has passed: what to make of what was under way."""
        self.closed = True
        reply = Reply(421, "4.4.2", text, local=True)
        return self._finish(reply) if self._message is not None else Failed(self._stage, reply)

    # Replies

    def _line(self, line: bytes) -> Reply | None:
        match = _REPLY.fullmatch(line)
        if not match or (self._texts and int(match[1]) != self._code) or len(self._texts) >= _LINES:
            return self._protocol_fault()
        self._code = int(match[1])
        self._texts.append((match[3] or b"").decode("utf-8", "replace"))
        if match[2] == b"-":
            return None
        texts, self._texts = self._texts, []
        self.heard += 1
        if self._stage == "EHLO" and self._code == 250:
            self.server = texts[0].partition(" ")[0].lower()
            self._learn(texts[1:])
        return read_reply(self._code, texts)

    def _learn(self, lines: list[str]) -> None:
        """RFC 5321 4.1.1.1  ehlo-line = ehlo-keyword *( SP ehlo-param )."""
        self.capabilities = {}
        for line in lines:
            keyword, _, parameters = line.strip().replace("AUTH=", "AUTH ", 1).partition(" ")
            self.capabilities[keyword.upper()] = parameters.upper()

    def _protocol_fault(self) -> Reply:
        self.closed = True
        return Reply(451, "4.5.0", "The server's reply is not SMTP", local=True)

    def _reply(self, reply: Reply) -> ClientEvent | None:
        if self._message is not None:
            return self._message_reply(reply)
        if self.closed or reply.code == 421:
            self.closed = True
            return Failed(self._stage, reply)
        if self._stage == "greeting":
            return self._greeted(reply)
        if self._stage in ("EHLO", "HELO"):
            return self._greeted_back(reply)
        if self._stage == "STARTTLS":
            return self._tls_reply(reply)
        if self._stage == "AUTH":
            return self._auth_reply(reply)
        return self._failed("protocol", self._protocol_fault())  # a reply that nothing asked for

    # Opening

    def _failed(self, stage: str, reply: Reply) -> Failed:
        self.closed = True
        return Failed(stage, reply)

    def _greeted(self, reply: Reply) -> ClientEvent | None:
        if reply.code != 220:  # RFC 5321 3.1
            self._out.append(b"QUIT\r\n")
            return self._failed("greeting", reply)
        self._hello()
        return None

    def _hello(self, word: str = "EHLO") -> None:
        self._stage = word
        self._out.append(f"{word} {self._options.hostname}\r\n".encode())

    def _greeted_back(self, reply: Reply) -> ClientEvent | None:
        if not reply.ok:
            if self._stage == "EHLO" and reply.code >= 500:  # RFC 5321 3.2: old servers know HELO only
                self._hello("HELO")
                return None
            return self._failed(self._stage, reply)
        mode = self._options.starttls
        if self.secure or mode == "never":
            return self._log_in()
        if "STARTTLS" in self.capabilities:
            self._stage = "STARTTLS"
            self._out.append(b"STARTTLS\r\n")
            return None
        if mode == "required":
            fault = Reply(454, "4.7.4", "TLS is required and the server does not offer STARTTLS", local=True)
            return self._failed("STARTTLS", fault)
        return self._log_in()

    def _tls_reply(self, reply: Reply) -> ClientEvent | None:
        if reply.code == 220:
            self._reader.clear()
            return StartTls()
        if self._options.starttls == "required":
            return self._failed("STARTTLS", reply)
        return self._log_in()

    def _log_in(self) -> ClientEvent | None:
        options = self._options
        if not options.login:
            self._stage = "ready"
            return Ready()
        if not self.secure and not options.plaintext_auth:
            fault = Reply(454, "4.7.0", "The password is not sent without TLS", local=True)
            return self._failed("AUTH", fault)
        mechanism = choose_client(self.capabilities.get("AUTH", "").split(), options.login, options.password)
        if mechanism is None:
            fault = Reply(454, "4.7.0", "The server offers no AUTH mechanism that we know", local=True)
            return self._failed("AUTH", fault)
        self._mechanism = mechanism
        self._stage = "AUTH"
        initial = b"" if mechanism.initial is None else b" " + binascii.b2a_base64(mechanism.initial, newline=False)
        self._out.append(b"AUTH " + mechanism.name.encode() + initial + b"\r\n")
        return None

    def _auth_reply(self, reply: Reply) -> ClientEvent | None:
        if reply.ok:
            self._stage = "ready"
            return Ready()
        if reply.code != 334:
            return self._failed("AUTH", reply)
        assert self._mechanism is not None
        try:
            answer = self._mechanism.respond(decode_base64(reply.text.encode()))
        except SaslFault:
            self._out.append(b"*\r\n")
            return None
        self._out.append(binascii.b2a_base64(answer))
        self._out[-1] = self._out[-1][:-1] + b"\r\n"
        return None

    # One message

    def _unfit(self, message: Outgoing) -> Reply | None:
        """Why this server cannot take the message at all."""
        if message.smtputf8 and "SMTPUTF8" not in self.capabilities:  # RFC 6531 3.2, 3.5
            return Reply(553, "5.6.7", "The server does not take international addresses (SMTPUTF8)", local=True)
        if message.body == "8BITMIME" and "8BITMIME" not in self.capabilities:  # RFC 6152 3
            return Reply(554, "5.6.3", "The server does not take 8-bit text (8BITMIME)", local=True)
        limit = self.capabilities.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit[:20]) < message.size:  # RFC 1870 6.1
            return Reply(552, "5.3.4", f"The message is larger than the {limit} octets the server takes", local=True)
        return None

    def limit(self, name: str) -> int:
        """A limit the server announced (RFC 9422 3): RCPTMAX, MAILMAX, RCPTDOMAINMAX; 0 when it did not."""
        match = re.search(rf"(?:^|\s){name}=(\d{{1,9}})(?:\s|$)", self.capabilities.get("LIMITS", ""))
        return max(int(match[1]), 1) if match else 0

    def _within_limit(self, message: Outgoing) -> tuple[OutgoingRecipient, ...]:
        """RFC 9422 4: the recipients the server takes in one message; the others get a 452 here."""
        within = message.recipients
        if "LIMITS" not in self.capabilities:
            return within
        within = within[: self.limit("RCPTMAX") or None]
        most = self.limit("RCPTDOMAINMAX")
        domains: set[str] = set()
        for index, one in enumerate(within):
            domains.add(one.address.rpartition("@")[2].lower())
            if most and len(domains) > most:
                return within[:index]
        return within

    def _mail_line(self, message: Outgoing) -> bytes:
        line = [f"MAIL FROM:<{message.sender}>"]
        offers = self.capabilities
        if "SIZE" in offers:
            line.append(f"SIZE={message.size}")
        if "8BITMIME" in offers and message.body == "8BITMIME":
            line.append("BODY=8BITMIME")
        if message.smtputf8:
            line.append("SMTPUTF8")
        if message.requiretls and self.secure and "REQUIRETLS" in offers:
            line.append("REQUIRETLS")
        if "DSN" in offers:
            if message.ret:
                line.append(f"RET={message.ret}")
            if message.envid:
                line.append(f"ENVID={encode_xtext(message.envid)}")
        return " ".join(line).encode() + b"\r\n"

    def _rcpt_line(self, recipient: OutgoingRecipient, message: Outgoing) -> bytes:
        line = [f"RCPT TO:<{recipient.address}>"]
        if "DSN" in self.capabilities:
            if recipient.notify:
                line.append(f"NOTIFY={recipient.notify}")
            if recipient.orcpt:
                kind, _, address = recipient.orcpt.partition(";")
                line.append(f"ORCPT={kind};{encode_xtext(address)}")
        return " ".join(line).encode() + b"\r\n"

    def _next_command(self) -> None:
        stage, line = self._script.popleft()
        self._expected.append(stage)
        self._out.append(line)

    def _message_reply(self, reply: Reply) -> ClientEvent | None:
        if self._stuffer is not None or not self._expected or reply.code == 421 or self.closed:
            # An answer in the middle of the text, or a server that ends the session.
            self.closed = True
            return self._finish(reply)
        stage = self._expected.popleft()
        if reply.code < 400 and not reply.ok and stage != "DATA":
            return self._finish(self._protocol_fault())
        if stage == "end":
            self._reset = False
            return self._finish(reply)
        if stage != "RSET":
            self._replies.append((stage, reply))
        if stage == "DATA":
            return self._data_reply(reply)
        if self._script:  # no PIPELINING: the next command waits for this reply
            in_vain = not reply.ok if stage == "MAIL" else self._script[0][0] == "DATA" and not self._accepted()
            if in_vain:
                return self._finish(reply)
            self._next_command()
        return None

    def _accepted(self) -> bool:
        return any(stage == "RCPT" and reply.ok for stage, reply in self._replies)

    def _data_reply(self, reply: Reply) -> ClientEvent | None:
        if reply.code != 354:
            return self._finish(reply)
        if self._accepted():
            if any(stage == "MAIL" and not one.ok for stage, one in self._replies):
                self.closed = (
                    True  # it takes recipients of a message it refused: it gets no text, not even an empty one
                )
                return self._finish(reply)
            self._stuffer = Stuffer()
            return SendBody()
        # RFC 2920 3.1: no recipient, but the server wants a text: give it an empty one
        self._out.append(b".\r\n")
        self._stage = "end"
        self._expected.append("end")
        return None

    def _finish(self, last: Reply) -> Finished:
        """One result for each recipient; `last` is for those the server had accepted, or had not answered."""
        message, self._message = self._message, None
        assert message is not None
        at_end = self._stage == "end"
        if last.code < 400 and not (at_end and last.ok):
            last = self._protocol_fault()  # 2yz before the text was sent is no promise
        self._stage = "ready"
        self._stuffer = None
        self._expected.clear()
        self._script.clear()
        mail = next((reply for stage, reply in self._replies if stage == "MAIL"), None)
        if mail is not None and not mail.ok:
            return Finished(tuple(Result(one, mail, "MAIL") for one in message.recipients))
        answers = [reply for stage, reply in self._replies if stage == "RCPT"]
        within = self._within_limit(message)
        results = []
        for index, one in enumerate(within):
            if index < len(answers) and not answers[index].ok:
                results.append(Result(one, answers[index], "RCPT"))
            else:
                results.append(Result(one, last, "end" if at_end else "DATA"))
        results += [Result(one, _BEYOND, "RCPT") for one in message.recipients[len(within) :]]
        return Finished(tuple(results))
