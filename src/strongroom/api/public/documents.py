"""The OpenAPI document, and a page that makes it readable without another host or a script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from typing import Any, Final

from strongroom.api.openapi import OpenApiDocument
from strongroom.api.operations import Call, Operation, Reply, Work

TAG: Final = "Documentation"
HTML: Final = "text/html; charset=utf-8"
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}code{font-family:ui-monospace,monospace}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ccc}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}a{color:#9cf}td,th{border-color:#444}}"
)
_POLICY: Final = "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; {frames}"
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _POLICY.format(
        digest=base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode(),
        frames="frame-ancestors 'none'",
    ),
    "Referrer-Policy": "no-referrer",
}


@cache
def _document(version: str) -> OpenApiDocument:
    # The list of all operations holds the ones of this module, so it is asked for when it is needed.
    from strongroom.api.tables import OPERATIONS as EVERY_OPERATION

    return OpenApiDocument(EVERY_OPERATION, version)


def _openapi(call: Call) -> Reply:
    return Reply(body=_document(call.services.version).encoded)


def _page(call: Call) -> Reply:
    body = render(_document(call.services.version).value)
    return Reply(body=body, content_type=HTML, headers=PAGE_HEADERS)


def render(document: Mapping[str, Any]) -> bytes:
    """Return the page of a document: every operation by its tag."""
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: operations</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}: operations</h1>",
        '<p>The full description, with every model, is <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>',
    ]
    rows = sorted(_rows(document["paths"]))
    for tag in sorted({row[0] for row in rows}):
        parts.append(f"<h2>{escape(tag)}</h2><table><tr><th>Method</th><th>Path</th><th>What it does</th></tr>")
        parts += [
            f"<tr><td>{escape(method)}</td><td><code>{escape(path)}</code></td><td>{escape(summary)}</td></tr>"
            for of_tag, path, method, summary in rows
            if of_tag == tag
        ]
        parts.append("</table>")
    parts.append("</body></html>")
    return "\n".join(parts).encode()


def _rows(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield operation["tags"][0], path, method.upper(), operation["summary"]


OPERATIONS: Final = (
    Operation(
        name="get_openapi",
        method="GET",
        path="/openapi.json",
        action="public",
        handler=_openapi,
        work=Work.SCAN,
        summary="Read this document",
        tag=TAG,
        response=dict[str, Any],
        audit=False,
        extension=True,
    ),
    Operation(
        name="get_operations_page",
        method="GET",
        path="/api/v2/swagger-ui",
        action="public",
        handler=_page,
        work=Work.SCAN,
        summary="Read the list of operations",
        tag=TAG,
        response=str,
        response_content_type=HTML,
        audit=False,
    ),
)
