"""The pages of the guide, as the texts they are; errors link to them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from strongroom.api.operations import Call, Operation, Reply, Work
from strongroom.kernel.errors import ErrorCode, NotFound

CONTENT_TYPE: Final = "text/plain; charset=utf-8"
_PACKAGE: Final = Path(__file__).resolve().parents[2]
_SHIPPED: Final = _PACKAGE / "guide"
_CHECKOUT: Final = _PACKAGE.parents[1] / "docs" / "guide"


def read_pages(*folders: Path) -> Mapping[str, bytes]:
    """Return the pages of the first folder that exists, by name without ``.md``.

    A name that was asked for never becomes a path: it is looked up here.
    """
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        return MappingProxyType({})
    return MappingProxyType({path.stem: path.read_bytes() for path in sorted(folder.glob("*.md"))})


@cache
def _pages() -> Mapping[str, bytes]:
    return read_pages(_SHIPPED, _CHECKOUT)


def _page(call: Call) -> Reply:
    pages = _pages()
    text = pages.get(call.path["page"].removesuffix(".md"))
    if text is None:
        known = ", ".join(pages) or "none"
        raise NotFound(ErrorCode.NOT_FOUND, f"The guide has no such page. Its pages are: {known}.")
    return Reply(body=text, content_type=CONTENT_TYPE)


OPERATIONS: Final = (
    Operation(
        name="get_guide_page",
        method="GET",
        path="/docs/guide/{page}",
        action="public",
        handler=_page,
        work=Work.POINT,
        summary="Read a page of the guide",
        tag="Documentation",
        response=str,
        response_content_type=CONTENT_TYPE,
        audit=False,
        extension=True,
    ),
)
