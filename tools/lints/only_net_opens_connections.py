"""Only ``net/`` opens outgoing connections: one guarded way out, with its address check, limits and time-outs.

``storage/`` has its database, ``cli/client.py`` its server, and ``runtime/serve.py`` its listening socket. ``dns/``
speaks its own protocol through ``dns.query``, to addresses that it asked the guard of ``net/`` about; nobody else does.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.lints.model import Finding, Module, is_within, report

NAME = "only_net_opens_connections"
_ALLOWED = ("net/", "storage/", "cli/client.py", "runtime/serve.py")
_DNS_LIBRARIES = ("dns.asyncquery", "dns.asyncresolver", "dns.query", "dns.resolver")
_LIBRARIES = (
    "aiohttp",
    "ftplib",
    "http.client",
    "httpcore2",
    "httpx",
    "httpx2",
    "imaplib",
    "poplib",
    "requests",
    "smtplib",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "xmlrpc.client",
)
_OPENERS = frozenset(
    {
        "anyio.connect_tcp",
        "anyio.connect_unix",
        "asyncio.open_connection",
        "asyncio.open_unix_connection",
        "socket.create_connection",
        "socket.socket",
        "ssl.get_server_certificate",
    }
)


def check(module: Module) -> Iterator[Finding]:
    """Yield client libraries and sockets used elsewhere."""
    if module.lies_in(*_ALLOWED):
        return
    for line, name in module.imports():
        if is_within(name, _DNS_LIBRARIES) and not module.lies_in("dns/"):
            yield report(NAME, module, line, f"{name} is imported outside dns/")
        if is_within(name, _LIBRARIES):
            yield report(NAME, module, line, f"{name} is imported outside net/")
    for call in module.calls():
        target = module.dotted(call.func)
        if target in _OPENERS:
            yield report(NAME, module, call.lineno, f"{target}() is called outside net/")
