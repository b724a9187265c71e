"""A server session with simple decisions, for transcripts."""

from __future__ import annotations

from postroom.values.refusal import Refusal
from postroom.wire.sasl import Challenge, LoginMechanism, Password, Plain, SaslFault
from postroom.wire.smtp import (
    AuthCancelled,
    Authenticate,
    AuthResponse,
    Body,
    Event,
    Mail,
    Profile,
    Rcpt,
    Reset,
    ServerOptions,
    ServerSession,
    StartTls,
)


class Peer:
    """Accepts mail from and for anybody but `no…` and `later…`; keeps messages; the password is "secret"."""

    def __init__(self, profile: Profile = Profile.MX, *, greet: bool = True, **session: object) -> None:
        limits = {key: session.pop(key) for key in list(session) if key in ServerOptions.__struct_fields__}
        self.session = ServerSession(
            ServerOptions(hostname="mx.example.org", profile=profile, **limits),  # type: ignore[arg-type]
            **session,  # type: ignore[arg-type]
        )
        self.events: list[Event] = []
        self.messages: list[bytes] = []
        self._body = b""
        self._mechanism: Plain | LoginMechanism = Plain()
        if greet:
            self.session.greet()

    def feed(self, data: bytes) -> None:
        self.session.feed(data)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
            self.decide(event)

    def data_to_send(self) -> bytes:
        return self.session.data_to_send()

    def decide(self, event: Event) -> None:
        if isinstance(event, Mail):
            self._address("" if event.sender is None else str(event.sender), Refusal(550, "5.7.1", "Not you"))
        elif isinstance(event, Rcpt):
            self._address(str(event.recipient), Refusal(550, "5.1.1", "No such user"))
        elif isinstance(event, Body):
            self._receive(event)
        elif isinstance(event, Reset):
            self._body = b""
        elif isinstance(event, StartTls):
            self.session.secured(("PLAIN", "LOGIN"))
        elif isinstance(event, Authenticate | AuthResponse):
            self._authenticate(event)
        else:
            assert isinstance(event, AuthCancelled)

    def _address(self, address: str, fault: Refusal) -> None:
        if address.startswith("no"):
            self.session.refuse(fault)
        elif address.startswith("later"):
            self.session.refuse(Refusal(451, "4.3.0", "Come back"))
        else:
            self.session.ok()

    def _receive(self, event: Body) -> None:
        self._body += event.data
        if not event.last:
            return
        message, self._body = self._body, b""
        if b"virus" in message:
            self.session.refuse(Refusal(554, "5.7.1", "No virus, please"))
            return
        self.messages.append(message)
        if self.session.options.profile is Profile.LMTP and self.session.recipients == 2:
            self.session.results(["Delivered", Refusal(452, "4.2.2", "Mailbox full")])
        else:
            self.session.accept("Queued as 1")

    def _authenticate(self, event: Authenticate | AuthResponse) -> None:
        try:
            if isinstance(event, Authenticate):
                self._mechanism = Plain() if event.mechanism == "PLAIN" else LoginMechanism()
                step = self._mechanism.start(event.initial)
            else:
                step = self._mechanism.step(event.data)
        except SaslFault as fault:
            self.session.refuse(Refusal(501, "5.5.2", str(fault)))
            return
        if isinstance(step, Challenge):
            self.session.challenge(step.data)
        elif isinstance(step, Password) and step.password == "secret":
            self.session.authenticated(step.login)
        else:
            self.session.refuse(Refusal(535, "5.7.8", "Wrong login or password"))


def submission(**session: object) -> Peer:
    return Peer(Profile.SUBMISSION, **session)
