"""The fuzz target on its corpus, and on a few hundred random changes of it; `fuzz_reading.py` goes on from there."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("fuzz_reading", HERE / "fuzz_reading.py")
target = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(target)
CORPUS = sorted((HERE / "corpus").iterdir())


def mutated(data, source):
    changed = bytearray(data)
    for _ in range(source.randint(1, 8)):
        place = source.randrange(len(changed) + 1)
        kind = source.randrange(4)
        if kind == 0 and place < len(changed):
            changed[place] = source.choice((0, 1, 0x7F, 0x80, 0xFF, changed[place] ^ 1 << source.randrange(8)))
        elif kind == 1:
            del changed[place : place + source.randint(1, 20)]
        elif kind == 2:
            changed[place:place] = changed[place : place + source.randint(1, 200)]
        else:
            changed[place:place] = source.randbytes(source.randint(1, 9))
    return bytes(changed)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_and_changes_of_it(path):
    data = path.read_bytes()
    target.test_one_input(data)
    source = random.Random(path.name)
    for _ in range(150):
        target.test_one_input(mutated(data, source))


def test_the_corpus_holds_runs():
    kinds = set()
    for path in CORPUS:
        target._FILE.write_bytes(target.event_file(path.read_bytes()))
        try:
            kinds |= {key.kind for key in target.read_run(target._FILE).tensors}
        except target.GradscopeError:
            continue
    assert {"weight", "gradient", "activation"} <= kinds
