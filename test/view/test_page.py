"""The page in a real headless Chromium, served by the real server."""

import base64

import cv2
import numpy as np
import pytest

from prehend.view.server import ViewServer

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser, feed, controls):
    """A browser that looks at the feed."""
    controls.changed = lambda: feed.tell(controls.state)
    controls.changed()
    with ViewServer(feed, controls.command, "127.0.0.1", 0) as server:
        browser.send("Page.navigate", url=server.url)
        browser.until("document.getElementById('source')?.textContent.includes('clip')")
        yield browser, server


def shown(browser, number):
    browser.until(f"+document.body.dataset.frame === {number}")


def pixels(browser, canvas):
    """(N, 4) of a canvas."""
    data = browser.evaluate(f"document.getElementById('{canvas}').toDataURL().split(',')[1]")
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED).reshape(-1, 4)


def text(browser, element):
    return browser.evaluate(f"document.getElementById('{element}').innerText")


def test_a_frame_is_shown_with_its_hands_and_numbers(page, feed, make_seen):
    browser, server = page
    for number in (1, 2, 3):
        feed.show(make_seen(number))
    shown(browser, 3)
    table = text(browser, "hands")
    assert "left 1" in table and "right 2" in table and "grasping 75 %" in table and "box" in table and "0.500" in table
    assert "infer 3.0" in text(browser, "stages") and "64 × 48" in text(browser, "status")
    for canvas in ("image", "over", "lines", "scene", "timeline", "latency"):
        assert len(np.unique(pixels(browser, canvas), axis=0)) >= (1 if canvas == "image" else 8), f"{canvas} is empty"
    grey = pixels(browser, "image")
    assert grey.shape == (64 * 48, 4) and np.abs(grey[:, :3] - 90.0).max() <= 2
    assert browser.errors() == []
    assert all(url.startswith((server.url, "blob:", "data:", "about:")) for url in browser.requests())


def test_the_hands_can_be_turned(page, feed, make_seen):
    browser, _ = page
    feed.show(make_seen(1))
    shown(browser, 1)
    before = pixels(browser, "scene")
    x, y = browser.evaluate(
        "(({x, y}) => [x + 200, y + 200])(document.getElementById('scene').getBoundingClientRect())"
    )
    browser.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", buttons=1, clickCount=1)
    for step in range(1, 6):
        browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=x + 15 * step, y=y, button="left", buttons=1)
    browser.send("Input.dispatchMouseEvent", type="mouseReleased", x=x + 75, y=y, button="left", clickCount=1)
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    after = pixels(browser, "scene")
    assert before.shape == after.shape and (before != after).any(1).mean() > 0.01 and browser.errors() == []


def test_a_person_pauses_steps_and_loops(page, feed, controls, make_seen):
    browser, _ = page
    feed.show(make_seen(1))
    shown(browser, 1)
    browser.evaluate("document.getElementById('play').click()")
    browser.until("document.getElementById('status').textContent.endsWith('paused')")
    assert controls.state["paused"] and text(browser, "play") == "Play"
    browser.evaluate("document.getElementById('loop').click()")
    browser.until("document.getElementById('loop').checked")
    browser.evaluate("document.getElementById('step').click()")
    browser.evaluate("fetch('index.html')")  # behind the commands
    assert controls.wait_until(1e18) and controls.state["loop"]
    for key in (" ", "l"):
        browser.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        browser.send("Input.dispatchKeyEvent", type="keyUp", key=key)
    browser.until("!document.getElementById('status').textContent.endsWith('paused')")
    browser.until("!document.getElementById('loop').checked")
    assert not controls.state["paused"] and not controls.state["loop"]


def test_a_server_that_ends_is_told(browser, feed):
    with ViewServer(feed, None, "127.0.0.1", 0) as server:
        browser.send("Page.navigate", url=server.url)
        browser.until("document.getElementById('source')?.textContent.includes('clip')")
    browser.until("document.getElementById('status').textContent === 'connection lost'")
