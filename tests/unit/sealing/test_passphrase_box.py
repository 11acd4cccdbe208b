from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Internal, Invalid
from strongroom.sealing import passphrase_box as module
from strongroom.sealing.kdf import Argon2Cost
from strongroom.sealing.passphrase_box import FRAME_BYTES, MAGIC, BoxReader, BoxWriter

PASSPHRASE = b"correct horse battery"
CHEAP = Argon2Cost(memory_kib=64, passes=1, lanes=1)
HEADER = len(MAGIC) + 6 + 16 + 32
FRAME = FRAME_BYTES + 16


class Dribble(io.BytesIO):
    """Gives few bytes at a time, as a pipe does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 10_007))


def box(*parts: bytes) -> bytes:
    target = io.BytesIO()
    with BoxWriter(target, PASSPHRASE, cost=CHEAP) as writer:
        for part in parts:
            assert writer.write(part) == len(part)
    return target.getvalue()


def opened(content: bytes, passphrase: bytes = PASSPHRASE) -> bytes:
    return BoxReader(io.BytesIO(content), passphrase).read()


def refused(content: bytes, passphrase: bytes = PASSPHRASE) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        opened(content, passphrase)
    assert refusal.value.code is ErrorCode.BACKUP_UNREADABLE
    return refusal.value


def frames(content: bytes) -> tuple[bytes, list[bytes]]:
    return content[:HEADER], [content[at : at + FRAME] for at in range(HEADER, len(content), FRAME)]


@given(parts=st.lists(st.binary(max_size=300), max_size=8), sizes=st.lists(st.integers(1, 500), min_size=1, max_size=5))
def test_any_parts_read_back_in_any_sizes(parts: list[bytes], sizes: list[int]) -> None:
    reader = BoxReader(io.BytesIO(box(*parts)), PASSPHRASE)
    got = b""
    number = 0
    while chunk := reader.read(sizes[number % len(sizes)]):
        got += chunk
        number += 1
    assert got == b"".join(parts)
    assert reader.read(10) == reader.read() == reader.read(0) == b""


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_lengths_around_whole_frames_survive(count: int, extra: int) -> None:
    content = bytes(i % 251 for i in range(max(0, count * FRAME_BYTES + extra)))
    assert opened(box(content)) == content
    assert BoxReader(Dribble(box(content)), PASSPHRASE).read() == content


def test_one_large_write_equals_many_small_ones() -> None:
    content = bytes(200_000)
    parts = [content[at : at + 999] for at in range(0, len(content), 999)]
    assert len(box(content)) == len(box(*parts)) == HEADER + len(content) + 16 * 4
    assert opened(box(*parts)) == content


def test_lines_come_back_one_by_one() -> None:
    lines = [b"%d " % number + b"x" * (number * 97 % 9001) + b"\n" for number in range(60)] + [b"\n", b"no line end"]
    assert list(BoxReader(io.BytesIO(box(*lines)), PASSPHRASE)) == lines


def test_a_line_that_ends_with_its_frame_is_one_line() -> None:
    lines = [b"x" * (FRAME_BYTES - 1) + b"\n", b"y\n"]
    assert list(BoxReader(io.BytesIO(box(*lines)), PASSPHRASE)) == lines


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", FRAME_BYTES)
    reader = BoxReader(io.BytesIO(box(bytes(3 * FRAME_BYTES))), PASSPHRASE)
    with pytest.raises(Invalid, match="line longer") as refusal:
        reader.readline()
    assert refusal.value.code is ErrorCode.BACKUP_UNREADABLE


def test_nothing_readable_is_in_the_box() -> None:
    content = box(b"planted-value " * 20_000)
    assert content.startswith(MAGIC)
    assert b"planted" not in content
    assert PASSPHRASE not in content
    assert content[HEADER:] != box(b"planted-value " * 20_000)[HEADER:]


def test_a_wrong_passphrase_is_told_apart() -> None:
    refusal = refused(box(b"content"), b"another passphrase")
    assert "passphrase is wrong" in refusal.detail
    assert refusal.field == "passphrase"
    assert "another passphrase" not in refusal.diagnostics()


def test_every_changed_byte_of_the_header_is_noticed() -> None:
    content = box(b"content")
    # A changed cost may ask for much work; those bytes have their own test.
    costs = range(len(MAGIC), len(MAGIC) + 6)
    for at in [at for at in range(HEADER) if at not in costs]:
        refused(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


@pytest.mark.parametrize(
    ("memory", "passes", "lanes"), [(2**20 + 1, 1, 1), (64, 17, 1), (64, 1, 17), (64, 0, 1), (64, 1, 0), (7, 1, 1)]
)
def test_an_unreasonable_cost_is_refused_before_it_is_paid(memory: int, passes: int, lanes: int) -> None:
    content = box(b"content")
    forged = MAGIC + struct.pack(">IBB", memory, passes, lanes) + content[len(MAGIC) + 6 :]
    assert "out of bounds" in refused(forged).detail


def test_another_cost_is_noticed() -> None:
    content = box(b"content")
    forged = MAGIC + struct.pack(">IBB", 128, 1, 1) + content[len(MAGIC) + 6 :]
    assert "header" in refused(forged).detail


def test_every_changed_byte_of_a_short_frame_is_noticed() -> None:
    content = box(b"content")
    for at in range(HEADER, len(content)):
        assert "damaged" in refused(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]).detail


def test_a_changed_frame_is_named_by_its_number() -> None:
    header, (one, _, three) = frames(box(bytes(2 * FRAME_BYTES + 10)))
    assert "part 2" in refused(header + one + bytes(FRAME) + three).detail


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 0, 1, 2), (0, 2), (1, 2), (2,), (0, 1, 2, 2)])
def test_frames_out_of_order_dropped_or_repeated_are_refused(order: tuple[int, ...]) -> None:
    header, parts = frames(box(bytes(i % 251 for i in range(2 * FRAME_BYTES + 10))))
    refused(header + b"".join(parts[number] for number in order))


def test_frames_of_another_box_are_refused() -> None:
    (header, _), (_, others) = frames(box(b"one")), frames(box(b"two"))
    refused(header + others[0])


def test_every_truncation_of_a_small_box_is_refused() -> None:
    content = box(b"content")
    for size in range(len(content)):
        refused(content[:size])


@pytest.mark.parametrize("kept", [1, 2])
def test_a_box_cut_between_frames_is_said_to_be_cut(kept: int) -> None:
    header, parts = frames(box(bytes(2 * FRAME_BYTES + 10)))
    refusal = refused(header + b"".join(parts[:kept]))
    assert "cut off" in refusal.detail
    assert refusal.hint


def test_a_box_cut_after_its_header_is_said_to_be_cut() -> None:
    assert "cut off" in refused(box(b"content")[:HEADER]).detail


def test_bytes_after_the_end_are_refused() -> None:
    assert "foreign bytes" in refused(box(bytes(FRAME_BYTES)) + b"x").detail
    refused(box(b"content") + b"x")


def test_a_file_of_another_kind_is_named() -> None:
    for content in (b"", b"SQLite format 3\0" + bytes(200), MAGIC.replace(b"v1", b"v2") + bytes(200)):
        assert "no Strongroom backup" in refused(content).detail


def test_a_failed_writer_leaves_a_box_that_is_refused() -> None:
    target = io.BytesIO()

    def fail() -> None:
        with BoxWriter(target, PASSPHRASE, cost=CHEAP) as writer:
            writer.write(bytes(FRAME_BYTES + 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "cut off" in refused(target.getvalue()).detail


def test_closing_twice_writes_one_end() -> None:
    target = io.BytesIO()
    with BoxWriter(target, PASSPHRASE, cost=CHEAP) as writer:
        writer.write(b"content")
        writer.close()
    assert opened(target.getvalue()) == b"content"
    with pytest.raises(Internal) as refusal:
        writer.write(b"more")
    assert refusal.value.code is ErrorCode.INTERNAL


def test_a_short_passphrase_is_refused_before_anything_is_written() -> None:
    target = io.BytesIO()
    with pytest.raises(Invalid) as refusal:
        BoxWriter(target, b"short", cost=CHEAP)
    assert refusal.value.code is ErrorCode.SETTINGS_INVALID
    assert target.getvalue() == b""


def test_the_default_cost_is_found_in_the_header() -> None:
    target = io.BytesIO()
    with BoxWriter(target, PASSPHRASE) as writer:
        writer.write(b"content")
    assert struct.unpack_from(">IBB", target.getvalue(), len(MAGIC)) == (65536, 3, 4)
    assert opened(target.getvalue()) == b"content"
