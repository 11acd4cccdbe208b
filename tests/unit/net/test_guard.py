"""Where the server may be sent, and where not."""

from __future__ import annotations

import pytest

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.net.guard import Guard


def test_a_link_local_address_is_refused_even_where_private_ones_are_allowed() -> None:
    with pytest.raises(Invalid) as refused:
        Guard(allow_private=True).check_url("https://169.254.169.254/latest?token=hidden")

    assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    assert "hidden" not in str(refused.value)
