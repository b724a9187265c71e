"""Scripts kept by real clients over ManageSieve sort mail at once, in every worker."""

from __future__ import annotations

import base64
import imaplib
import os
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Running, until

managesieve = pytest.importorskip("managesieve")

SCRIPT = 'require ["fileinto", "mailbox"];\r\nif header :contains "subject" "sorted" { fileinto :create "Sorted"; }\r\n'


@pytest.fixture
def client(server: Running, mailbox: dict[str, str]) -> Iterator[managesieve.MANAGESIEVE]:
    found = managesieve.MANAGESIEVE(server.host, server.ports["managesieve"], use_tls=True, tls_verify=False)
    assert found.login("", mailbox["login"], mailbox["password"]) == "OK"
    yield found
    found.logout()


def send(server: Running, to: str, subject: str) -> None:
    with smtplib.SMTP(server.host, server.ports["smtp"], timeout=20) as smtp:
        smtp.sendmail("ann@far.test", [to], f"From: ann@far.test\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhello\r\n")


def count(server: Running, mailbox: dict[str, str], name: str) -> int:
    with imaplib.IMAP4(server.host, server.ports["imap"], timeout=20) as imap:
        imap.starttls(server.tls())
        imap.login(mailbox["login"], mailbox["password"])
        kind, data = imap.select(name, readonly=True)
        return int(data[0] or 0) if kind == "OK" else -1


def test_a_script_kept_by_a_client_sorts_mail(
    server: Running, mailbox: dict[str, str], client: managesieve.MANAGESIEVE
) -> None:
    assert client.listscripts() == ("OK", [])
    assert client.havespace("main", 1000) == "OK"
    assert client.putscript("main", SCRIPT) == "OK"
    assert client.setactive("main") == "OK"
    assert client.listscripts() == ("OK", [("main", True)])
    assert client.getscript("main") == ("OK", SCRIPT)
    for number in range(6):
        send(server, mailbox["login"], f"to be sorted {number}")
    send(server, mailbox["login"], "ordinary")
    until(lambda: count(server, mailbox, "Sorted") == 6)
    until(lambda: count(server, mailbox, "INBOX") == 1)
    assert client.deletescript("main") == "NO" and client.response_code == "ACTIVE"
    assert client.setactive("") == "OK"
    send(server, mailbox["login"], "to be sorted no more")
    until(lambda: count(server, mailbox, "INBOX") == 2)
    assert client.deletescript("main") == "OK"
    told = server.postroom("trace", mailbox["login"], "--steps").stdout
    assert "the filter 'main'" in told and 'fileinto "Sorted" create' in told


def test_faults_come_with_lines(client: managesieve.MANAGESIEVE) -> None:
    assert client.putscript("bad", 'keep;\r\nfly;\r\nfileinto "x";\r\n') == "NO"
    text = client.response_text
    text = text.decode() if isinstance(text, bytes) else text
    assert "line 2, column 1: there is no command fly" in text
    assert 'line 3, column 1: fileinto is not required (add "fileinto" to require)' in text
    assert client.getscript("bad")[0] == "NO" and client.response_code == "NONEXISTENT"


def test_sievelib(server: Running, mailbox: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("sievelib.managesieve")
    client = library.Client(server.host, server.ports["managesieve"])
    context = server.tls()
    with monkeypatch.context() as patched:
        patched.setattr(ssl, "create_default_context", lambda *given, **named: context)
        assert client.connect(mailbox["login"], mailbox["password"], starttls=True, authmech="PLAIN")
    assert "vacation" in client.get_sieve_capabilities()
    assert client.putscript("one", SCRIPT)
    assert client.checkscript(SCRIPT) and not client.checkscript("fly;")
    assert client.renamescript("one", "two")
    assert client.setactive("two")
    assert client.listscripts() == ("two", [])
    assert client.getscript("two").replace("\n", "\r\n").strip() == SCRIPT.strip()
    client.logout()


def test_scram(server: Running, mailbox: dict[str, str]) -> None:
    scramp = pytest.importorskip("scramp")
    import socket

    plain = socket.create_connection((server.host, server.ports["managesieve"]), timeout=20)
    file = plain.makefile("rwb")

    def lines() -> list[bytes]:
        found = [file.readline()]
        while not found[-1].startswith((b"OK", b"NO", b"BYE")):
            found.append(file.readline())
        return found

    assert b'"STARTTLS"\r\n' in lines()
    file.write(b"STARTTLS\r\n")
    file.flush()
    assert lines()[-1].startswith(b"OK")
    file = server.tls().wrap_socket(plain).makefile("rwb")
    assert any(b"SCRAM-SHA-256" in line for line in lines())
    scram = scramp.ScramClient(["SCRAM-SHA-256"], mailbox["login"], mailbox["password"])

    def answer(text: str, start: bytes = b"") -> None:
        file.write(start + b'"%b"\r\n' % base64.b64encode(text.encode()))
        file.flush()

    def challenge() -> str:
        return base64.b64decode(file.readline().strip().strip(b'"')).decode()

    answer(scram.get_client_first(), b'AUTHENTICATE "SCRAM-SHA-256" ')
    scram.set_server_first(challenge())
    answer(scram.get_client_final())
    scram.set_server_final(challenge())
    answer("")
    assert lines()[-1].startswith(b"OK")
    file.write(b"LISTSCRIPTS\r\nUNAUTHENTICATE\r\nLISTSCRIPTS\r\nLOGOUT\r\n")
    file.flush()
    assert [lines()[-1][:2] for _ in range(4)] == [b"OK", b"OK", b"NO", b"OK"]


def test_refused_at_the_end_of_the_data(
    server: Running, mailbox: dict[str, str], client: managesieve.MANAGESIEVE
) -> None:
    assert client.putscript("no", 'require "ereject"; if header "subject" "spam" { ereject "Not this"; }') == "OK"
    assert client.setactive("no") == "OK"
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, mailbox["login"], "spam")
    assert refused.value.smtp_code == 550
    assert refused.value.smtp_error == b"5.7.1 Not this"
    send(server, mailbox["login"], "ham")
    until(lambda: count(server, mailbox, "INBOX") == 1)


@pytest.mark.skipif(shutil.which("sieve-connect") is None, reason="needs sieve-connect (package sieve-connect)")
def test_sieve_connect(server: Running, mailbox: dict[str, str], tmp_path: Path) -> None:
    """Another program's whole day: check, keep, choose, list, fetch, give up, remove."""
    script, bad = tmp_path / "main.sieve", tmp_path / "bad.sieve"
    script.write_bytes(SCRIPT.encode())
    bad.write_text("fly;\n")
    fetched = tmp_path / "fetched.sieve"
    fixed = ["sieve-connect", "--server", server.host, "--port", str(server.ports["managesieve"])]
    fixed += ["--user", mailbox["login"], "--notlsverify", "--passwordfd", "0"]

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*fixed, *map(str, arguments)],
            input=mailbox["password"] + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "HOME": str(tmp_path)},
        )

    done = run("--checkscript", "--localsieve", script)
    assert done.returncode == 0, done.stderr
    done = run("--checkscript", "--localsieve", bad)
    assert done.returncode and "line 1, column 1: there is no command fly" in done.stdout + done.stderr
    done = run("--upload", "--localsieve", script, "--remotesieve", "main")
    assert done.returncode == 0, done.stderr
    assert run("--activate", "--remotesieve", "main").returncode == 0
    listed = run("--list").stdout.splitlines()
    assert [line.split() for line in listed if "main" in line] == [['"main"', "ACTIVE"]]
    send(server, mailbox["login"], "to be sorted")
    until(lambda: count(server, mailbox, "Sorted") == 1)
    assert run("--download", "--remotesieve", "main", "--localsieve", fetched).returncode == 0
    assert fetched.read_text().splitlines() == SCRIPT.splitlines()
    assert run("--deactivate").returncode == 0
    assert run("--delete", "--remotesieve", "main").returncode == 0
    assert "main" not in run("--list").stdout


def test_a_script_runs_when_mail_is_stored_by_imap(
    server: Running, mailbox: dict[str, str], client: managesieve.MANAGESIEVE
) -> None:
    """RFC 6785: kept over ManageSieve, named by an annotation, run after APPEND and after a change of flags."""
    script = (
        'require ["imapsieve", "environment", "fileinto", "imap4flags", "copy"];\r\n'
        'if environment "imap.cause" "APPEND" { fileinto :copy "Archive"; }\r\n'
        'if allof (environment "imap.cause" "FLAG", hasflag "\\\\Flagged") { addflag "todo"; }\r\n'
    )
    assert client.putscript("events", script) == "OK"
    with imaplib.IMAP4(server.host, server.ports["imap"], timeout=20) as imap:
        imap.starttls(server.tls())
        imap.login(mailbox["login"], mailbox["password"])
        capabilities = imap.capability()[1][0].decode().split()
        port = server.ports["managesieve"]
        assert [each.rpartition(":")[2] for each in capabilities if each.startswith("IMAPSIEVE=sieve://")] == [
            str(port)
        ]
        imaplib.Commands.setdefault("SETMETADATA", ("AUTH", "SELECTED"))
        assert imap._simple_command("SETMETADATA", "Drafts", '(/shared/imapsieve/script "events")')[0] == "OK"
        text = b"From: a@b.example\r\nSubject: a draft\r\n\r\nhello\r\n"
        assert imap.append("Drafts", None, None, text)[0] == "OK"
        until(lambda: count(server, mailbox, "Archive") == 1)
        imap.select("Drafts")
        imap.store("1", "+FLAGS", "\\Flagged")

        def flags() -> bytes:
            return imap.fetch("1", "(FLAGS)")[1][0]

        until(lambda: b"todo" in flags())
        assert b"\\Flagged" in flags()
    told = server.postroom("trace", mailbox["login"], "--steps").stdout
    assert "stored it in 'Drafts'" in told and "changed its flags in 'Drafts'" in told
