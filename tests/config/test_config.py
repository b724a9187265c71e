"""The configuration: read, refused with advice, printed and read again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import fields

from postroom.config import (
    Config,
    ConfigError,
    Limits,
    Listener,
    Protocol,
    Server,
    Tls,
    TlsMode,
    check,
    describe,
    load,
    parse,
    sample,
)
from postroom.net.tls import write_self_signed


def test_the_sample_reads_back_as_the_defaults() -> None:
    assert parse(sample()) == Config()


def test_what_is_set_survives_printing() -> None:
    config = Config(
        server=Server(hostname='quo"ted\\name', workers=3, dns=("127.0.0.1:5353",)),
        listener=(Listener(protocol=Protocol.IMAP, port=993, tls=TlsMode.IMPLICIT),),
        limits=Limits(recipients=7, greeting_delay=0.5),
    )
    assert parse(sample(config)) == config


def test_every_option_is_explained() -> None:
    assert all(one.description for one in describe())
    assert len(describe()) > 60
    assert [one.key for one in describe("limits.recipients")] == ["limits.recipients"]
    with pytest.raises(KeyError):
        describe("limits.nothing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\nrecipient = 5", ["[limits] has no key `recipient`", "did you mean `recipients`?"]),
        ("[limit]\nrecipients = 5", ["has no key `limit`", "did you mean `limits`?"]),
        ("[limits]\nrecipients = 0", ["limits.recipients", ">= 1"]),
        ('[limits]\nrecipients = "many"', ["limits.recipients", "int"]),
        ('[[listener]]\nprotocol = "imap"\nport = 70000', ["listener[0].port", "65535"]),
        ('[[listener]]\nprotocol = "gopher"\nport = 70', ["listener[0].protocol", "gopher"]),
        ("[[listener]]\nport = 70", ["protocol"]),
        ("[limits\n", ["not TOML", "line 1"]),
    ],
)
def test_faults_name_key_cause_and_way_out(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text)
    for word in words:
        assert word in str(refused.value)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "postroom.toml").write_text('[server]\ndata = "mail"\n[tls]\nkey = "/etc/key.pem"\n')
    config = load(tmp_path / "postroom.toml")
    assert config.server.data == str(tmp_path / "mail")
    assert config.tls.key == "/etc/key.pem"
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "absent.toml")


def test_check_finds_what_would_fail_later(tmp_path: Path) -> None:
    listener = Listener(protocol=Protocol.IMAP, port=993, tls=TlsMode.IMPLICIT)
    problems = check(Config(server=Server(data=str(tmp_path / "none")), listener=(listener, listener)))
    text = "\n".join(map(str, problems))
    assert "names no certificate" in text
    assert "port 993 is listener[0]'s already" in text
    assert "there is no folder" in text
    bad = Config(limits=Limits(trusted_networks=("10.0.0.0/99",)), server=Server(data=str(tmp_path)))
    assert any("no network" in problem.cause for problem in check(bad))


def test_check_is_content_with_a_good_one(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    write_self_signed(certificate, key, ["localhost"], 30, datetime.now(UTC))
    config = Config(
        server=Server(data=str(tmp_path)),
        tls=Tls(certificate=str(certificate), key=str(key)),
        listener=(Listener(protocol=Protocol.IMAP, port=993, tls=TlsMode.IMPLICIT),),
    )
    assert check(config) == []
    other = tmp_path / "other.pem"
    write_self_signed(tmp_path / "x.pem", other, ["localhost"], 30, datetime.now(UTC))
    config = Config(
        server=config.server, tls=Tls(certificate=str(certificate), key=str(other)), listener=config.listener
    )
    assert "do not go together" in str(check(config)[0])


def test_sections_of_the_model_are_all_structs() -> None:
    assert {field.name for field in fields(Config)} >= {"server", "listener", "tls", "limits"}


@pytest.mark.parametrize(
    ("protocol", "mode"),
    [("metrics", TlsMode.NONE), ("http", TlsMode.IMPLICIT), ("smtp", TlsMode.STARTTLS), ("imap", TlsMode.STARTTLS)],
)
def test_tls_of_listeners_that_do_not_say_it(protocol: str, mode: TlsMode) -> None:
    text = f'[[listener]]\nprotocol = "{protocol}"\nport = 1\n'
    assert parse(text).listener[0].tls is mode
    assert parse(text + 'tls = "none"\n').listener[0].tls is TlsMode.NONE


@pytest.mark.parametrize(
    "listener", ["3", '"x"', "[3]", "[{protocol = 3, port = 1}]", '[{protocol = ["http"], port = 1}]']
)
def test_listeners_that_are_none(listener: str) -> None:
    with pytest.raises(ConfigError, match="listener"):
        parse(f"listener = {listener}\n")
