"""Reports that are posted to an https URI (RFC 8460 5.4)."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from postroom.app.reporters import Poster
from postroom.net import https
from postroom.queue.daily import DailyReport
from postroom.relay.protection import StrictTls
from postroom.testing.authority import Authority
from postroom.testing.scripted_web import ScriptedWeb
from postroom.values.dns import NoSuchName

NOW = datetime.datetime.now(datetime.UTC)
ROOT = Authority("root", NOW)
REPORT = DailyReport(
    name="far.test",
    to=(),
    id="1",
    subject="",
    words="",
    file="x.json.gz",
    media_type="application/tlsrpt+gzip",
    octets=b"report",
)


async def test_a_report_is_posted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    web = ScriptedWeb(ROOT.issue("reports.far.test").server_context(tmp_path))
    await web.start()
    plain = https.Request

    def on_this_port(**options: object) -> https.Request:
        return plain(**{**options, "port": web.port})

    monkeypatch.setattr(https, "Request", on_this_port)

    async def hosts(host: str) -> tuple[str, ...]:
        if host != "reports.far.test":
            raise NoSuchName(f"there is no {host}")
        return ("127.0.0.1",)

    poster = Poster(hosts, StrictTls(str(tmp_path / "ca.pem")))
    try:
        web.page(b"", status="201 Created")
        await poster("https://reports.far.test/v1?a=b", REPORT)
        assert web.asked[0].startswith(b"POST /v1?a=b HTTP/1.1\r\n")
        assert web.asked[0].endswith(b"Content-Type: application/tlsrpt+gzip\r\nContent-Length: 6\r\n\r\nreport")
        for uri, status, words in (
            ("https://reports.far.test/", "307 Elsewhere", "answers with status 307"),
            ("https://gone.far.test/", "200 OK", "there is no gone.far.test"),
            ("http://reports.far.test/", "200 OK", "no place to post to"),
        ):
            web.page(b"", status=status)
            with pytest.raises(OSError, match=words):
                await poster(uri, REPORT)
        assert len(web.asked) == 2
    finally:
        await web.stop()
