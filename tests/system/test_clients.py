"""Real clients against the running system, each as its users would call it."""

from __future__ import annotations

import email
import imaplib
import mailbox as mailboxes
import poplib
import smtplib
import subprocess
import time
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import imapclient
import pytest
from running import Running, needs

Account = dict[str, str]


def letter(to: str, subject: str, sender: str = "someone@elsewhere.example", text: str = "Hello\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message.set_content(text)
    return message


def imap(server: Running, account: Account) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=server.tls(), timeout=20)
    client.login(account["login"], account["password"])
    return client


def arrived(client: imaplib.IMAP4, count: int, name: str = "INBOX") -> list[bytes]:
    """Wait (bounded) until the mailbox holds so many messages; their texts."""
    client.select(name)
    for _ in range(5000):
        if int(client.select(name)[1][0] or 0) >= count:
            break
    _, found = client.search(None, "ALL")
    out = []
    for number in found[0].split():
        data = client.fetch(number.decode(), "(BODY.PEEK[])")[1][0]
        assert isinstance(data, tuple)
        out.append(data[1])
    return out


def test_mail_from_outside_arrives(server: Running, mailbox: Account) -> None:
    with smtplib.SMTP(server.host, server.ports["smtp"], "client.example", timeout=20) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("pipelining")
        assert smtp.has_extn("size")
        smtp.starttls(context=server.tls())
        smtp.send_message(letter(mailbox["login"], "from outside"))
    client = imap(server, mailbox)
    [raw] = arrived(client, 1)
    got = email.message_from_bytes(raw)
    assert got["Subject"] == "from outside"
    assert got["Return-Path"] == "<someone@elsewhere.example>"
    assert got["Delivered-To"] == mailbox["login"]
    assert "client.example" in got["Received"]
    client.logout()


def test_strangers_cannot_relay(server: Running) -> None:
    with smtplib.SMTP(server.host, server.ports["smtp"], timeout=20) as smtp:
        smtp.ehlo("client.example")
        smtp.mail("a@elsewhere.example")
        code, text = smtp.rcpt("b@other.example")
        assert (code, text[:5]) == (550, b"5.7.1")
        code, text = smtp.rcpt(f"nobody-here@{server.domain}")
        assert (code, text[:5]) == (550, b"5.1.1")
        assert smtp.rcpt(f"postmaster@{server.domain}")[0] == 250


@pytest.mark.parametrize("implicit", [True, False])
def test_submission(server: Running, mailbox: Account, implicit: bool) -> None:
    if implicit:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.ports["submissions"], context=server.tls(), timeout=20
        )
    else:
        smtp = smtplib.SMTP(server.host, server.ports["submission"], timeout=20)
        smtp.starttls(context=server.tls())
    with smtp:
        smtp.login(mailbox["login"], mailbox["password"])
        smtp.send_message(letter(mailbox["login"], "to myself", sender=mailbox["login"]))
        with pytest.raises(smtplib.SMTPException) as refused:
            smtp.send_message(letter(mailbox["login"], "forged", sender=f"ann@{server.domain}"))
        assert "5.7.1" in str(refused.value)
    client = imap(server, mailbox)
    [raw] = arrived(client, 1)
    got = email.message_from_bytes(raw)
    assert got["Subject"] == "to myself"
    assert got["Message-ID"]
    assert got["Date"]
    client.logout()


def test_wrong_password_is_refused_everywhere(server: Running, mailbox: Account) -> None:
    with smtplib.SMTP_SSL(server.host, server.ports["submissions"], context=server.tls(), timeout=20) as smtp:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            smtp.login(mailbox["login"], "wrong")
        assert refused.value.smtp_code == 535
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=server.tls(), timeout=20)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(mailbox["login"], "wrong")
    client.logout()
    pop = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=server.tls(), timeout=20)
    pop.user(mailbox["login"])
    with pytest.raises(poplib.error_proto, match="AUTH"):
        pop.pass_("wrong")
    pop.quit()


def test_two_devices_see_the_same(server: Running, mailbox: Account) -> None:
    first, second = (
        imapclient.IMAPClient(server.host, server.ports["imaps"], ssl_context=server.tls(), timeout=20)
        for _ in range(2)
    )
    for client in (first, second):
        client.login(mailbox["login"], mailbox["password"])
        client.select_folder("INBOX")
    first.append("INBOX", b"Subject: one\r\n\r\nHello\r\n")
    second.idle()
    first.append("INBOX", b"Subject: two\r\n\r\nHello\r\n", flags=[b"$Important"])
    seen: list[tuple[int, bytes]] = []
    while not any(response[:2] == (2, b"EXISTS") for response in seen):
        responses = second.idle_check(timeout=10)
        assert responses, "IDLE heard nothing"
        seen += responses
    second.idle_done()
    [uid] = first.search(["SUBJECT", "two"])
    first.set_flags([uid], [b"\\Seen", b"\\Flagged"])
    second.noop()
    assert set(second.get_flags([uid])[uid]) - {b"\\Recent"} == {b"\\Seen", b"\\Flagged"}
    second.delete_messages([uid])
    second.uid_expunge([uid])
    first.noop()
    assert first.search() == second.search()
    first.logout()
    second.logout()


def test_pop3_and_imap_on_one_mailbox(server: Running, mailbox: Account) -> None:
    client = imap(server, mailbox)
    for number in range(3):
        client.append("INBOX", "", imaplib.Time2Internaldate(time.time()), b"Subject: n%d\r\n\r\n.dot\r\n" % number)
    server.postroom("user", "set", mailbox["login"], "--pop3-delete", "keep")
    pop = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=server.tls(), timeout=20)
    pop.user(mailbox["login"])
    pop.pass_(mailbox["password"])
    assert pop.stat()[0] == 3
    assert b".dot" in pop.retr(1)[1]
    identities = pop.uidl()[1]
    assert len(set(identities)) == 3
    for number in (1, 2, 3):
        pop.dele(number)
    pop.quit()
    assert len(arrived(client, 3)) == 3, "the IMAP user's copies are still there"
    pop = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=server.tls(), timeout=20)
    pop.user(mailbox["login"])
    pop.pass_(mailbox["password"])
    assert pop.stat()[0] == 0
    pop.quit()
    client.logout()


async def test_aiosmtplib(server: Running, mailbox: Account) -> None:
    await aiosmtplib.send(
        letter(mailbox["login"], "asynchronous", sender=mailbox["login"]),
        hostname=server.host,
        port=server.ports["submission"],
        username=mailbox["login"],
        password=mailbox["password"],
        start_tls=True,
        tls_context=server.tls(),
    )
    client = imap(server, mailbox)
    assert b"Subject: asynchronous" in arrived(client, 1)[0]
    client.logout()


def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-1500:]} {done.stderr[-1500:]}"
    return done


@needs("curl")
def test_curl_sends_and_reads(server: Running, mailbox: Account, tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(letter(mailbox["login"], "by curl", sender=mailbox["login"]).as_bytes().replace(b"\n", b"\r\n"))
    user = f"{mailbox['login']}:{mailbox['password']}"
    tls = ["--cacert", server.certificate, "--silent", "--show-error", "--user", user]
    url = f"smtps://localhost:{server.ports['submissions']}/client.example"
    run("curl", *tls, url, "--mail-from", mailbox["login"], "--mail-rcpt", mailbox["login"], "-T", str(path))
    client = imap(server, mailbox)
    arrived(client, 1)
    client.logout()
    done = run("curl", *tls, f"imaps://localhost:{server.ports['imaps']}/INBOX;MAILINDEX=1")
    assert "Subject: by curl" in done.stdout
    done = run("curl", *tls, f"pop3s://localhost:{server.ports['pop3s']}/1")
    assert "Subject: by curl" in done.stdout


@needs("swaks")
def test_swaks(server: Running, mailbox: Account) -> None:
    base = ["swaks", "--server", server.host, "--to", mailbox["login"], "--ehlo", "client.example"]
    run(*base, "--port", str(server.ports["smtp"]), "--from", "someone@elsewhere.example", "--header", "Subject: swaks")
    run(*base, "--protocol", "LMTP", "--port", str(server.ports["lmtp"]), "--from", "someone@elsewhere.example")
    client = imap(server, mailbox)
    assert len(arrived(client, 2)) == 2
    client.logout()


@needs("msmtp")
@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256"])
def test_msmtp(server: Running, mailbox: Account, mechanism: str) -> None:
    command = ["msmtp", f"--host={server.host}", f"--port={server.ports['submission']}", "--tls=on"]
    command.append(f"--auth={mechanism}")
    command += ["--tls-certcheck=off", f"--user={mailbox['login']}", f"--from={mailbox['login']}", mailbox["login"]]
    command.insert(1, f"--passwordeval=echo '{mailbox['password']}'")
    run(*command, stdin=letter(mailbox["login"], "by msmtp", sender=mailbox["login"]).as_string())
    client = imap(server, mailbox)
    assert b"Subject: by msmtp" in arrived(client, 1)[0]
    client.logout()


@needs("mbsync")
def test_mbsync_both_ways(server: Running, mailbox: Account, tmp_path: Path) -> None:
    client = imap(server, mailbox)
    client.append("INBOX", "(\\Seen)", "", b"Subject: on the server\r\n\r\nHello\r\n")
    local = tmp_path / "mail"
    local.mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        f"""IMAPAccount demo
Host localhost
Port {server.ports["imaps"]}
User {mailbox["login"]}
Pass "{mailbox["password"]}"
SSLType IMAPS
CertificateFile {server.certificate}

IMAPStore far
Account demo

MaildirStore near
Path {local}/
Inbox {local}/INBOX
SubFolders Verbatim

Channel demo
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""
    )
    run("mbsync", "-c", str(settings), "demo")
    box = mailboxes.Maildir(str(local / "INBOX"))
    assert [message["Subject"] for message in box] == ["on the server"]
    assert (local / "Drafts").is_dir(), "special-use mailboxes are synchronised too"
    box.add(mailboxes.MaildirMessage(b"Subject: from the laptop\n\nHello\n"))
    run("mbsync", "-c", str(settings), "demo")
    texts = arrived(client, 2)
    assert any(b"Subject: from the laptop" in text for text in texts)
    client.logout()


@needs("fetchmail")
@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_fetchmail(server: Running, mailbox: Account, tmp_path: Path, protocol: str) -> None:
    client = imap(server, mailbox)
    client.append("INBOX", "", "", b"From: a@b.example\r\nSubject: fetch me\r\n\r\nHello\r\n")
    target = tmp_path / "fetched"
    settings = tmp_path / "fetchmailrc"
    settings.write_text(
        f'poll localhost service {server.ports[protocol + "s"]} protocol {protocol} user "{mailbox["login"]}" '
        f'password "{mailbox["password"]}" ssl sslcertfile {server.certificate} fetchall\n'
        f'mda "cat >> {target}"\n'
    )
    settings.chmod(0o600)
    run("fetchmail", "-f", str(settings), "--pidfile", str(tmp_path / "pid"), "-i", str(tmp_path / "ids"))
    assert "Subject: fetch me" in target.read_text()
    client.noop()
    assert int(client.select("INBOX")[1][0] or 0) == 0, "fetchmail deletes what it took"
    client.logout()
