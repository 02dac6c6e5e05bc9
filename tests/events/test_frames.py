"""The framing alone: payloads in, payloads out, and what damage costs."""

from __future__ import annotations

import struct
import time

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradscope.events.frames import frame, read_frames
from gradscope.run import Damage

PAYLOADS = [f"payload {number} ".encode() * (number + 1) for number in range(30)]
FRAMES = [frame(payload) for payload in PAYLOADS]


def read(path, data):
    path.write_bytes(data)
    parts = list(read_frames(str(path)))
    return [p for p in parts if isinstance(p, bytes)], [p for p in parts if isinstance(p, Damage)]


def masked(data):
    checksum = google_crc32c.value(data)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def lie(length):
    """A header with a valid checksum for a payload that is not there."""
    header = struct.pack("<Q", length)
    return header + masked(header)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.out.tfevents.1"


def test_intact_frames_come_back_in_order(path):
    assert read(path, b"".join(FRAMES)) == (PAYLOADS, [])


def test_an_empty_payload_is_a_record(path):
    assert read(path, frame(b"") + frame(b"x")) == ([b"", b"x"], [])


def test_the_framing_is_tensorflows(tmp_path):
    record_writer = pytest.importorskip("tensorboard.summary.writer.record_writer")
    with (tmp_path / "theirs").open("wb") as stream:
        writer = record_writer.RecordWriter(stream)
        for payload in PAYLOADS:
            writer.write(payload)
    assert (tmp_path / "theirs").read_bytes() == b"".join(FRAMES)


@pytest.mark.parametrize("position", [0, 8, 12, -1], ids=["length", "its checksum", "payload", "its checksum"])
def test_a_flipped_bit_costs_one_record_and_is_located(path, position):
    broken = bytearray(FRAMES[10])
    broken[position] ^= 4
    start = sum(map(len, FRAMES[:10]))
    found, damage = read(path, b"".join([*FRAMES[:10], bytes(broken), *FRAMES[11:]]))
    assert found == PAYLOADS[:10] + PAYLOADS[11:]
    assert [(d.file, d.byte_count) for d in damage] == [(str(path), len(broken))]
    assert f"bytes {start} to {start + len(broken) - 1} " in damage[0].what


@pytest.mark.parametrize(
    "junk", [bytes(4096), b"\xff" * 77, b"not an event file\n" * 100], ids=["zeros", "ones", "text"]
)
def test_junk_between_records_costs_none(path, junk):
    found, damage = read(path, b"".join([*FRAMES[:10], junk, *FRAMES[10:]]))
    assert found == PAYLOADS
    assert [d.byte_count for d in damage] == [len(junk)]


@pytest.mark.parametrize("length", [2**31, 2**40, 2**62, 2**64 - 1])
def test_a_length_that_lies_is_not_believed(path, length):
    found, damage = read(path, b"".join([*FRAMES[:10], lie(length), *FRAMES[10:]]))
    assert found == PAYLOADS
    assert "skipped" in damage[0].what


@pytest.mark.parametrize("kept", [1, 7, 11, 12, 13, -1])
def test_a_cut_tail_is_called_incomplete(path, kept):
    found, damage = read(path, b"".join(FRAMES[:10]) + FRAMES[10][:kept])
    assert found == PAYLOADS[:10]
    assert len(damage) == 1
    assert "incomplete" in damage[0].what
    assert "still writing" in damage[0].what


def test_a_file_of_something_else_holds_no_record(path):
    found, damage = read(path, b"PK\x03\x04" + bytes(range(256)) * 20)
    assert found == []
    assert len(damage) == 1
    assert "none of its 5124 bytes" in damage[0].what


def test_an_empty_file_says_so(path):
    assert read(path, b"") == ([], [Damage(str(path), "the file is empty", 0)])


def test_lengths_that_all_lie_do_not_take_forever(path):
    # Every header claims half the file: believing each of them would read 15 GB.
    count = 50_000
    data = lie(count * 6) * count
    started = time.perf_counter()
    found, damage = read(path, data)
    assert found == []
    assert sum(d.byte_count for d in damage) == len(data)
    assert time.perf_counter() - started < 20


def test_a_record_across_block_borders_is_found_again(path):
    big = frame(bytes(range(256)) * 8192)
    found, damage = read(path, b"x" + big + b"y" * ((1 << 20) - 5) + big + frame(b"end"))
    assert [len(payload) for payload in found] == [2 << 20, 2 << 20, 3]
    assert [d.byte_count for d in damage] == [1, (1 << 20) - 5]


def test_of_thousands_of_records_the_damaged_ones_are_lost(path):
    random = np.random.default_rng(0)
    payloads = [b"%d " % number + random.bytes(int(random.integers(0, 900))) for number in range(9000)]
    frames = [frame(payload) for payload in payloads]
    data = bytearray(b"".join(frames))
    assert read(path, data) == (payloads, [])
    bounds = np.cumsum([len(whole) for whole in frames])
    flipped = random.choice(len(data), 25, replace=False)
    for place in flipped.tolist():
        data[place] ^= 1 << int(random.integers(8))
    hit = set(np.searchsorted(bounds, flipped, side="right").tolist())
    found, _ = read(path, data)
    assert found == [payload for number, payload in enumerate(payloads) if number not in hit]


@st.composite
def wounds(draw):
    """A mutation of a byte string of known size: (start, end, replacement)."""
    size = len(b"".join(FRAMES))
    start = draw(st.integers(0, size))
    end = min(size, start + draw(st.integers(0, 400)))
    original = b"".join(FRAMES)[start:end]
    replacement = draw(
        st.one_of(
            st.just(b""),  # delete
            st.just(original * 2),  # duplicate
            st.just(bytes(b ^ 0x10 for b in original)),  # flip
            st.binary(max_size=200).map(lambda junk: junk + original),  # insert
            st.just(bytes(len(original))),  # zero
        )
    )
    return start, end, replacement


@settings(max_examples=300, deadline=None)
@given(wound=wounds())
def test_no_record_outside_a_wound_is_lost(tmp_path_factory, wound):
    start, end, replacement = wound
    data = b"".join(FRAMES)
    found, _ = read(tmp_path_factory.mktemp("wound") / "tfevents", data[:start] + replacement + data[end:])
    offset = 0
    for whole, payload in zip(FRAMES, PAYLOADS, strict=True):
        if offset + len(whole) <= start or offset >= end:
            assert payload in found
        offset += len(whole)
    assert set(found) <= set(PAYLOADS)
