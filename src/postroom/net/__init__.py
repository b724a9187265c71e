"""Connections: ports, TLS and certificates, the PROXY protocol, deadlines. Knows no mail."""

from postroom.net.handshakes import Handshakes
from postroom.net.link import Driver, Link, LinkOptions, TlsInfo
from postroom.net.listen import ListenError, Server, bind, bind_all, serve
from postroom.net.tls import CertificateError, Certificates, ClientTls, client_context, self_signed
from postroom.net.wheel import Wheel

__all__ = [
    "CertificateError",
    "Certificates",
    "ClientTls",
    "Driver",
    "Handshakes",
    "Link",
    "LinkOptions",
    "ListenError",
    "Server",
    "TlsInfo",
    "Wheel",
    "bind",
    "bind_all",
    "client_context",
    "self_signed",
    "serve",
]
