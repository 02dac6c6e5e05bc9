"""TensorBoard on real logs: as a WSGI client for the routes, as a server for the browser."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="session")
def client(autoencoder_logs):
    """The plugin inside TensorBoard's own application, on the committed runs."""
    from tensorboard.backend import application
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from werkzeug.test import Client
    from werkzeug.wrappers import Response

    from gradscope.tensorboard.loader import GradscopeLoader

    flags = argparse.Namespace(
        logdir=str(autoencoder_logs), samples_per_plugin={}, window_title="", path_prefix="", generic_data="true"
    )
    loader = GradscopeLoader()
    loader.fix_flags(flags)
    multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance=flags.samples_per_plugin)
    multiplexer.AddRunsFromDirectory(str(autoencoder_logs))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(autoencoder_logs))
    return Client(application.TensorBoardWSGIApp(flags, [loader], provider), Response)


@pytest.fixture(scope="session")
def serve():
    """Starts ``tensorboard`` on a log dir and gives its address; stopped at the end."""
    servers = []

    def start(logdir, *options):
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0"]
        command += ["--host", "127.0.0.1", "--reload_interval", "1", *options]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        servers.append(server)
        deadline = time.monotonic() + 60
        said = []
        while time.monotonic() < deadline:
            said.append(server.stdout.readline())
            found = re.search(r"(http://127\.0\.0\.1:\d+\S*)", said[-1])
            if found:
                return found[1]
            if server.poll() is not None:
                break
        raise AssertionError("".join(said))

    yield start
    for server in servers:
        server.terminate()
        server.wait(10)
        server.stdout.close()
