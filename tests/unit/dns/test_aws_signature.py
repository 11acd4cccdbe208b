"""Signatures of requests to AWS, against those that AWS printed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from strongroom.dns.aws_signature import AwsKey, query_string, signed_headers

_AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


def _key(service: str) -> AwsKey:
    # The public example key of the vendor's documentation.
    return AwsKey(
        access_key_id="AKIDEXAMPLE",
        secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        service=service,
    )


# Source: the vendor's Signature Version 4 test suite, cases of these names.
@pytest.mark.parametrize(
    ("case", "method", "query", "signature"),
    [
        ("get-vanilla", "GET", [], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("post-vanilla", "POST", [], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            [("Param2", "value2"), ("Param1", "value1")],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_the_vendors_test_suite_is_signed_as_printed(
    case: str, method: str, query: list[tuple[str, str]], signature: str
) -> None:
    headers = signed_headers(
        _key("service"), method=method, path="/", query=query, headers={"Host": "example.amazonaws.com"}, at=_AT
    )
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    ), case


def test_the_example_of_the_general_reference_is_signed_as_printed() -> None:
    headers = signed_headers(
        _key("iam"),
        method="GET",
        path="/",
        query=[("Version", "2010-05-08"), ("Action", "ListUsers")],
        headers={"Host": "iam.amazonaws.com", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        at=_AT,
    )
    assert headers["X-Amz-Date"] == "20150830T123600Z"
    assert headers["Authorization"].endswith(
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_a_query_is_sorted_and_a_wildcard_encoded_in_it() -> None:
    assert query_string([("type", "TXT"), ("name", "*.example.com.")]) == "name=%2A.example.com.&type=TXT"


def test_a_key_does_not_show_its_secret() -> None:
    assert "wJalr" not in repr(_key("route53"))
