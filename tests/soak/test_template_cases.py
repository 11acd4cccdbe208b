"""Random template cases against OpenBao, as many as ``--template-cases`` says."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import pytest

from tests.soak.template_cases import compare


def test_templates_allow_what_the_peer_allows_but_for_what_is_meant(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(time.time())
    totals = compare(request.config.getoption("--template-cases"), seed=seed)

    with capsys.disabled():
        print(json.dumps({"seed": seed, **asdict(totals), "failures": len(totals.failures)}, indent=2))  # noqa: T201  (the figures)
    assert not totals.failures
    assert totals.allowed > totals.cases / 10
