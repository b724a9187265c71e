"""Shared mailboxes on a running system, with real clients: a customer's question between two shifts, and its rules."""

from __future__ import annotations

import imaplib
import json
import os
import smtplib
from email.message import EmailMessage
from email.utils import make_msgid

import imapclient
import pytest
from running import Running, until

PASSWORD = "correct horse 9"
CUSTOMER = "zoe@customer.example"


class Person:
    """Somebody with a log-in, and as many devices as he likes."""

    def __init__(self, server: Running, name: str) -> None:
        self.server = server
        self.login = f"{name}{os.urandom(3).hex()}@{server.domain}"
        server.postroom("user", "add", self.login, "--password-stdin", stdin=PASSWORD + "\n")

    def device(self) -> imapclient.IMAPClient:
        client = imapclient.IMAPClient(
            self.server.host, self.server.ports["imaps"], ssl_context=self.server.tls(), timeout=20
        )
        client.login(self.login, PASSWORD)
        return client

    def submit(self, message: EmailMessage, sender: str) -> None:
        with smtplib.SMTP_SSL(
            self.server.host, self.server.ports["submissions"], context=self.server.tls(), timeout=20
        ) as smtp:
            smtp.login(self.login, PASSWORD)
            smtp.send_message(message, from_addr=sender)


class Team:
    """support@, with Ann and Ben as members by a group."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.ann, self.ben = Person(server, "ann"), Person(server, "ben")
        mark = os.urandom(3).hex()
        self.address, self.group = f"support{mark}@{server.domain}", f"team{mark}@{server.domain}"
        server.postroom("group", "add", self.group, self.ann.login, self.ben.login)
        server.postroom("share", "add", self.address, "--group", self.group, "--name", "Support")

    def box(self, name: str = "INBOX") -> str:
        return f"Shared/{self.address}/{name}"

    def arrives(self, message: EmailMessage) -> None:
        """Mail from outside."""
        with smtplib.SMTP(self.server.host, self.server.ports["smtp"], "mx.customer.example", timeout=20) as smtp:
            smtp.send_message(message, from_addr=CUSTOMER, to_addrs=[self.address])


@pytest.fixture
def team(server: Running) -> Team:
    return Team(server)


def letter(sender: str, to: str, subject: str, *before: EmailMessage, text: str = "Hello\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Message-ID"] = make_msgid(domain="customer.example")
    if before:
        message["In-Reply-To"] = before[-1]["Message-ID"]
        message["References"] = " ".join(one["Message-ID"] for one in before)
    message.set_content(text)
    return message


def subjects(client: imapclient.IMAPClient, box: str, *, readonly: bool = False) -> list[str]:
    client.select_folder(box, readonly=readonly)
    found = client.fetch(client.search(), ["ENVELOPE"])
    return [found[uid][b"ENVELOPE"].subject.decode() for uid in sorted(found)]


def hears(client: imapclient.IMAPClient, what: bytes) -> None:
    """The client in IDLE is told of it."""
    until(lambda: any(what in reply for reply in client.idle_check(timeout=5)))


def test_a_question_between_two_shifts(server: Running, team: Team) -> None:
    ann, ben = team.ann, team.ben
    desk = ann.device()
    assert team.box() in [name for _, _, name in desk.list_folders()]
    desk.subscribe_folder(team.box())
    desk.select_folder(team.box())
    desk.idle()

    # a question comes, and Ann hears of it at once
    question = letter(CUSTOMER, team.address, "My printer prints only zebras")
    team.arrives(question)
    hears(desk, b"EXISTS")
    desk.idle_done()
    [uid] = desk.search("UNSEEN")
    assert b"zebras" in desk.fetch([uid], ["BODY[]"])[uid][b"BODY[]"]

    # she answers as support, her program files its own copy, she marks the question, and leaves
    answer = letter(f"Support <{team.address}>", CUSTOMER, "Re: My printer prints only zebras", question)
    ann.submit(answer, team.address)
    until(lambda: subjects(desk, team.box("Sent")) == [answer["Subject"]])
    answer["Bcc"] = "records@customer.example"
    desk.append(team.box("Sent"), answer.as_bytes(), [b"\\Seen"])
    desk.select_folder(team.box())
    desk.add_flags([uid], [b"\\Answered"])
    desk.logout()

    # in the evening the customer writes again, and Ben is there
    tablet = ben.device()
    tablet.select_folder(team.box())
    tablet.idle()
    reply = letter(CUSTOMER, team.address, "Re: My printer prints only zebras (2)", question, answer)
    team.arrives(reply)
    hears(tablet, b"EXISTS")
    tablet.idle_done()
    assert set(tablet.get_flags([uid])[uid]) == {b"\\Seen", b"\\Answered"}  # what Ann has done
    [new] = tablet.search("UNSEEN")
    assert tablet.search(["HEADER", "References", answer["Message-ID"]]) == [new]
    tablet.select_folder(team.box("Sent"))
    [hers] = tablet.search(["HEADER", "Message-ID", answer["Message-ID"]])  # one, though two were filed
    assert b"records@" in tablet.fetch([hers], ["BODY.PEEK[HEADER]"])[hers][b"BODY[HEADER]"]

    # he answers as support, too
    second = letter(team.address, CUSTOMER, "Re: My printer prints only zebras (3)", question, answer, reply)
    ben.submit(second, team.address)
    until(lambda: subjects(tablet, team.box("Sent")) == [answer["Subject"], second["Subject"]])
    tablet.select_folder(team.box())
    tablet.add_flags([new], [b"\\Seen", b"\\Answered"])
    tablet.logout()

    # and in the morning Ann finds it all on her phone
    phone = ann.device()
    assert phone.folder_status(team.box(), ["MESSAGES", "UNSEEN"]) == {b"MESSAGES": 2, b"UNSEEN": 0}
    assert subjects(phone, team.box()) == [question["Subject"], reply["Subject"]]
    assert set(phone.get_flags([new])[new]) >= {b"\\Seen", b"\\Answered"}
    assert subjects(phone, team.box("Sent")) == [answer["Subject"], second["Subject"]]
    phone.logout()
    told = json.loads(server.postroom("trace", second["Message-ID"], "--json").stdout.splitlines()[0])
    assert team.address in json.dumps(told)


def test_who_may_not_see_it_sees_nothing_and_sends_nothing(server: Running, team: Team) -> None:
    eve = Person(server, "eve")
    client = eve.device()
    assert not [name for _, _, name in client.list_folders() if name.startswith(("Shared", "Users"))]
    with pytest.raises(imaplib.IMAP4.error) as caught:
        client.select_folder(team.box())
    assert "NONEXISTENT" in str(caught.value)
    client.logout()
    message = letter(team.address, CUSTOMER, "I am not support")
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        eve.submit(message, team.address)
    assert refused.value.smtp_code == 553
    with pytest.raises(smtplib.SMTPDataError) as content:
        eve.submit(message, eve.login)
    assert content.value.smtp_code == 550


def test_on_behalf_of_a_person(server: Running, team: Team) -> None:
    boss, helper = Person(server, "boss"), Person(server, "helper")
    who = ("--member", helper.login)
    server.postroom("share", "join", boss.login, *who, "--rights", "read", "--send", "on-behalf")
    helper.submit(letter(boss.login, boss.login, "Dinner at eight"), boss.login)
    client = boss.device()
    until(lambda: subjects(client, "INBOX") == ["Dinner at eight"])
    header = client.fetch([1], ["BODY.PEEK[HEADER.FIELDS (FROM SENDER)]"])[1]
    [text] = [value for key, value in header.items() if key.startswith(b"BODY[")]
    assert f"Sender: {helper.login}".encode() in text
    assert f"From: {boss.login}".encode() in text
    reader = helper.device()
    assert subjects(reader, f"Users/{boss.login}/INBOX", readonly=True) == ["Dinner at eight"]
    reader.logout()
    client.logout()


def test_who_leaves_the_group_is_out_at_once(server: Running, team: Team) -> None:
    devices = [team.ben.device() for _ in range(4)]  # on both workers
    for client in devices:
        client.select_folder(team.box())
        client.idle()
    server.postroom("group", "leave", team.group, team.ben.login)
    for client in devices:
        hears_bye(client)
    with pytest.raises(smtplib.SMTPSenderRefused):
        team.ben.submit(letter(team.address, CUSTOMER, "Still here?"), team.address)
    assert team.ann.device().folder_exists(team.box())


def hears_bye(client: imapclient.IMAPClient) -> None:
    """The server ends the session."""

    def gone() -> bool:
        try:
            return any(b"BYE" in reply for reply in client.idle_check(timeout=5))
        except imaplib.IMAP4.abort:  # how imaplib says that it heard BYE
            return True

    until(gone)
    client.shutdown()


def test_changes_of_one_reach_all_others_also_on_other_workers(server: Running, team: Team) -> None:
    team.arrives(letter(CUSTOMER, team.address, "Who takes this?"))
    devices = [person.device() for person in (team.ann, team.ben) * 3]
    until(lambda: devices[0].folder_status(team.box(), ["MESSAGES"])[b"MESSAGES"] == 1)
    for client in devices:
        client.select_folder(team.box())
    for client in devices[1:]:
        client.idle()
    devices[0].add_flags([1], [b"\\Flagged", b"$Taken"])
    for client in devices[1:]:
        until(lambda client=client: "Flagged" in str(client.idle_check(timeout=5)))
        client.idle_done()
        client.logout()
    devices[0].logout()


def test_rights_given_by_a_mail_program(server: Running) -> None:
    ann, ben = Person(server, "ann"), Person(server, "ben")
    owner, reader = ann.device(), ben.device()
    owner.create_folder("Plans")
    owner.append("Plans", letter(ann.login, ann.login, "The plan").as_bytes())
    owner.setacl("Plans", ben.login, "lrsw")
    assert subjects(reader, f"Users/{ann.login}/Plans") == ["The plan"]
    assert reader.folder_status(f"Users/{ann.login}/Plans", ["UNSEEN"]) == {b"UNSEEN": 1}
    reader.add_flags([1], [b"\\Seen"])
    assert reader.folder_status(f"Users/{ann.login}/Plans", ["UNSEEN"]) == {b"UNSEEN": 0}
    assert owner.folder_status("Plans", ["UNSEEN"]) == {b"UNSEEN": 1}  # it is his mark, not hers
    reader.copy([1], "INBOX")
    assert subjects(reader, "INBOX") == ["The plan"]
    listed = json.loads(server.postroom("acl", "list", ann.login, "--json").stdout)["acl"]
    assert listed == [{"mailbox": "Plans", "identifier": ben.login, "rights": "lrsw"}]
    owner.logout()
    reader.logout()


def test_the_demo_shows_it(server: Running) -> None:
    [shared] = server.shared
    client = imapclient.IMAPClient(server.host, server.ports["imaps"], ssl_context=server.tls(), timeout=20)
    client.login(server.login(), server.password())
    assert subjects(client, f"Shared/{shared}/INBOX") == ["My printer prints only zebras"]
    assert subjects(client, f"Users/carla@{server.domain}/Projects", readonly=True) == ["Plan for the new office"]
    client.logout()
