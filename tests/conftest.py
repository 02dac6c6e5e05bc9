"""The small recorded runs that come with the project."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

LOGS = Path(__file__).parent.parent / "logs" / "autoencoder"


@pytest.fixture(scope="session")
def autoencoder_logs():
    """The folder of the three committed runs."""
    return LOGS


@pytest.fixture(scope="session")
def three_layer(autoencoder_logs):
    """The run that does not learn."""
    return autoencoder_logs / "three_layer"


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium under Playwright; without them a test is skipped, but fails where ``CI`` is set."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _no_browser("the package playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        _no_browser("chromium is not installed")
    quiet = "disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync"
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", *(f"--{flag}" for flag in quiet.split())]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()


def _no_browser(reason):
    if os.environ.get("CI"):
        pytest.fail(f"{reason}: .ci/run has to install it")
    pytest.skip(reason)


@pytest.fixture
def watched(chromium):
    """Opens pages and watches them: errors, violated policies, and requests that leave the machine, fail the test."""
    complaints = []

    def watch(page):
        page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
        page.on("console", lambda m: complaints.append(f"{m.text} ({_place(m)})") if _is_ours(m) else None)
        page.on("request", lambda r: complaints.append(f"asked for {r.url}") if not _is_near(r.url) else None)
        return page

    contexts = []

    def open_page(url=None, *, width=1280, theme="light"):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme))
        page = watch(contexts[-1].new_page())
        if url is not None:
            page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _place(message):
    return message.location.get("url", "")


def _is_ours(message):
    """Errors but for TensorBoard's own: below a prefix or an experiment it misses some files and routes itself."""
    is_tensorboards = _place(message).startswith("http") and "gradscope" not in _place(message)
    return message.type == "error" and not is_tensorboards


def _is_near(url):
    return url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1:"))
