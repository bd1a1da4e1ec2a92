"""The page, in a real browser."""

import base64
import json
import os
import socket
import subprocess
import time
import unittest
import urllib.request

from server import Server

BROWSER = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1100,1000",
]


class Browser:
    """A browser, by the WebDriver protocol."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}", "--silent"])
        self.url = f"http://127.0.0.1:{port}"
        options = {"binary": "/usr/bin/chromium", "args": BROWSER}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        for attempt in range(100):
            try:
                self.url += "/session/" + self.call("POST", "/session", wanted)["sessionId"]
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("no browser")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def visit(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": "return " + script, "args": []})

    def type(self, selector, text):
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{next(iter(element.values()))}/value", {"text": text})

    def until(self, script):
        """The first value of a script that is something."""
        for _ in range(200):
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"{script} stays {value}; the page: {self.run('document.body.innerText')}")

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("DELETE", "")
        self.driver.terminate()
        self.driver.wait()


HITS = "[...document.querySelectorAll('#hits li b')].map(hit => hit.textContent)"
CELLS = "[...document.querySelectorAll('#collections td')].map(cell => cell.textContent)"
ENTER = "\ue007"


class Page(unittest.TestCase):
    def test_it_shows_what_there_is_and_finds_what_is_near(self):
        with Server(demo=True) as server, Browser() as browser:
            browser.visit(server.url)
            self.assertEqual(browser.until("document.querySelector('#status').textContent.trim().length > 1 && "
                                           "document.querySelector('#status').textContent"), "healthy")
            cells = browser.until(f"{CELLS}.length > 1 && {CELLS}")
            self.assertEqual(cells[:5], ["words", "4,000", "384", "cosine", "graph, rabitq:8"])
            links = browser.run("[...document.querySelectorAll('nav a')].map(link => link.getAttribute('href'))")
            self.assertEqual(links, ["/openapi.json", "/health", "/metrics"])
            for link in links:
                self.assertEqual(server.ask(link)[0], 200)

            browser.type("#words", "volcani")
            offered = browser.until("[...document.querySelectorAll('#titles option')].map(title => title.value)")
            self.assertIn("volcanic", offered)
            browser.type("#words", "c" + ENTER)
            hits = browser.until(f"{HITS}.length == 10 && {HITS}")
            self.assertTrue(any("volcan" in hit or "magma" in hit or "lava" in hit for hit in hits), hits)
            if picture := os.environ.get("VECGO_PICTURE"):
                browser.picture(picture)

            browser.run("document.querySelector('#words').value = ''")
            browser.type("#words", "no such word" + ENTER)
            said = browser.until("document.querySelector('#said.bad') && document.querySelector('#said').textContent")
            self.assertIn("No record", said)

    def test_it_asks_for_a_key_and_what_is_stored_stays_text(self):
        key = "a-key-for-a-check-of-the-page"
        with Server(VECGO_AUTH__WRITE_KEYS=key) as server, Browser() as browser:
            server.ask("/v1/collections/docs", {"dim": 2, "metric": "l2"}, "PUT", key)
            script = "<img src=x onerror=\"document.title='broken'\">"
            records = [{"id": id, "vector": [id, 1], "metadata": {"title": f"{id} {script}", "text": script}} for id in (1, 2)]
            server.ask("/v1/collections/docs/upsert", {"records": records}, None, key)
            browser.visit(server.url)
            browser.until("!document.querySelector('#locked').hidden")
            self.assertNotIn("docs", browser.run("document.body.innerText"))
            browser.type("#key", key + ENTER)
            browser.until(f"{CELLS}[0] == 'docs'")
            browser.type("#words", "1" + ENTER)
            hits = browser.until(f"{HITS}.length == 1 && {HITS}")
            self.assertEqual(hits, [f"2 {script}"])
            self.assertEqual(browser.run("document.title"), "Vecgo")


if __name__ == "__main__":
    unittest.main()
