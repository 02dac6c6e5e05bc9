"""How long it takes to read and judge a log, beside the readers there are.

    python benchmarks/reading.py [--mb 100] [--shapes v2,v1] [--rounds 3] [--readers gradscope,accumulator] [--keep DIR]

Logs of about so many megabytes are made (`reading_logs.py`). Each reader then runs in a process of its own, rounds
interleaved, page cache warm; printed are the medians of wall and processor seconds, MB per wall second and the peak
memory. ``gradscope check`` is the command, start to end; the other readers are timed without their imports, gradscope
reading by itself and with the judging. ``no TF`` hides TensorFlow from TensorBoard, which otherwise reads through it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from reading_logs import SHAPES

HIDE_TENSORFLOW = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tensorflow", "keras"}:
            raise ImportError(name)
sys.meta_path.insert(0, Hide())
"""

ACCUMULATOR = "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator"

READERS = {
    "cat": ("", "while stream.read(1 << 20): pass", "stream = open(file, 'rb', buffering=0)"),
    "one CRC pass": (
        "import google_crc32c",
        "while block := stream.read(1 << 20): google_crc32c.value(block)",
        "stream = open(file, 'rb', buffering=0)",
    ),
    "gradscope check": None,
    "gradscope reads": (
        "import gradscope.events.reader",
        "gradscope.events.reader.read_run(folder)",
        "",
    ),
    "gradscope": (
        "import gradscope.diagnosis.engine, gradscope.events.reader",
        "gradscope.diagnosis.engine.diagnose(gradscope.events.reader.read_run(folder))",
        "",
    ),
    "accumulator": (
        ACCUMULATOR + "\nimport tensorflow, tensorboard.compat; tensorboard.compat.tf.io",
        "EventAccumulator(folder, dict.fromkeys(['tensors', 'histograms', 'scalars'], 0)).Reload()",
        "",
    ),
    "accumulator, no TF": (
        HIDE_TENSORFLOW + ACCUMULATOR,
        "EventAccumulator(folder, dict.fromkeys(['tensors', 'histograms', 'scalars'], 0)).Reload()",
        "",
    ),
    "tbparse, no TF": (HIDE_TENSORFLOW + "from tbparse import SummaryReader", "SummaryReader(folder).histograms", ""),
}

CODE = """
{imports}
import json, resource, sys, time, glob
folder = sys.argv[1]; file = glob.glob(folder + "/*tfevents*")[0]
{prepare}
wall, cpu = time.perf_counter(), time.process_time()
{work}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "gradscope --help": [sys.executable, "-m", "gradscope.cli", "--help"],
    "gradscope --version": [sys.executable, "-m", "gradscope.cli", "--version"],
    "gradscope check, small run": [sys.executable, "-m", "gradscope.cli", "check", "logs/autoencoder/three_layer"],
}


WHOLE = """
import json, resource, subprocess, sys, time
wall = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.perf_counter() - wall
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


# An installed package has its bytecode; compiling anew costs 80 ms.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run_whole(command: list[str]) -> list[float]:
    code = [sys.executable, "-c", WHOLE, *command]
    done = subprocess.run(code, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    return json.loads(done.stdout)


def run(reader: str, folder: Path) -> list[float]:
    if READERS[reader] is None:
        return run_whole([sys.executable, "-m", "gradscope.cli", "check", str(folder)])
    imports, work, prepare = READERS[reader]
    code = CODE.format(imports=imports, work=work, prepare=prepare)
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise SystemExit(f"{reader}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder: Path, readers: list[str], rounds: int) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    print(f"\n{folder.name}: {size:,.0f} MB")
    print(f"{'reader':22} {'wall s':>8} {'cpu s':>8} {'MB/s':>8} {'peak MB':>8}  x gradscope check")
    times: dict[str, list[list[float]]] = {reader: [] for reader in readers}
    for _ in range(rounds):
        for reader in readers:
            times[reader].append(run(reader, folder))
    medians = {
        reader: [statistics.median(column) for column in zip(*found, strict=True)] for reader, found in times.items()
    }
    base = medians.get("gradscope check", [float("nan")])[0]
    for reader, (wall, cpu, peak) in medians.items():
        print(f"{reader:22} {wall:8.3f} {cpu:8.3f} {size / wall:8,.0f} {peak:8,.0f}  {wall / base:6.1f}")


def measure_start(rounds: int) -> None:
    print(f"\n{'whole process':30} {'wall ms':>8} {'cpu ms':>8} {'peak MB':>8}")
    for name, command in COMMANDS.items():
        found = [run_whole(command) for _ in range(3 * rounds)]
        wall, cpu, peak = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:30} {1e3 * wall:8.0f} {1e3 * cpu:8.0f} {peak:8,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--readers", default=",".join(READERS).replace(", no TF", " no TF"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    base = arguments.keep or Path(tempfile.mkdtemp())
    readers = [name.replace(" no TF", ", no TF") for name in arguments.readers.split(",")]
    for shape in arguments.shapes.split(","):
        folder = base / f"{shape}_{arguments.mb}"
        if not folder.exists():
            SHAPES[shape](folder, arguments.mb)
        measure(folder, readers, arguments.rounds)
    measure_start(arguments.rounds)


if __name__ == "__main__":
    main()
