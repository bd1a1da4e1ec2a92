"""A server as the image starts it: its user, its limits, its root that nobody can write."""

import json
import os
import pathlib
import re
import shutil
import signal
import tempfile
import unittest
import urllib.error
import urllib.request

from image import Image

USER = 65532


def ask(address, path, key=None, body=None, method=None):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if body is not None:
        headers["content-type"] = "application/json"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Running:
    def __init__(self, image, volume, **environment):
        # Any port: the machine may have something at 8080.
        environment.setdefault("VECGO_SERVER__LISTEN", "0.0.0.0:0")
        self.process = image.start(volume, **environment)
        line = self.process.stdout.readline()
        found = re.search(r"listening on 0\.0\.0\.0:(\d+)", line)
        if not found:
            raise AssertionError(line + self.process.communicate()[1])
        self.address = f"127.0.0.1:{found[1]}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        log = self.process.communicate(timeout=60)[1]
        return self.process.returncode, log


class TheImage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.mkdtemp()
        cls.image = Image(os.path.join(cls.place, "root"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.place)

    def volume(self):
        """An empty one, as the first start finds it: what the image has at its place."""
        volume = pathlib.Path(tempfile.mkdtemp(dir=self.place))
        os.chown(volume, USER, USER)
        volume.chmod(0o700)
        # A file system of its own has a folder that only root may read.
        (volume / "lost+found").mkdir(mode=0o700)
        return volume

    def test_the_first_start_makes_a_key_and_data_outlives_a_restart(self):
        volume = self.volume()
        running = Running(self.image, volume)
        status = pathlib.Path(f"/proc/{running.process.pid}/status").read_text()
        self.assertIn(f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n", status)
        self.assertIn("CapEff:\t0000000000000000\n", status)
        file = volume / "first-start.key"
        self.assertEqual((file.stat().st_mode & 0o777, file.stat().st_uid), (0o600, USER))
        key = file.read_text().strip()
        self.assertEqual(ask(running.address, "/v1/collections")[0], 401)
        self.assertEqual(ask(running.address, "/v1/collections/docs", key, {"dim": 2, "metric": "l2"}, "PUT")[0], 200)
        records = {"records": [{"id": 1, "vector": [1, 2]}]}
        self.assertEqual(ask(running.address, "/v1/collections/docs/upsert", key, records)[0], 200)
        code, log = running.stop()
        self.assertEqual(code, 0, log)
        # One object of JSON a line, and the key in none.
        lines = [json.loads(line) for line in log.splitlines()]
        self.assertTrue(any(line.get("file") == "/data/first-start.key" for line in lines), log)
        self.assertNotIn(key, log)

        running = Running(self.image, volume)
        while ask(running.address, "/readyz")[0] != 200:
            pass
        found = ask(running.address, "/v1/collections/docs/search", key, {"vector": [1, 2]})
        self.assertEqual(json.loads(found[1])["hits"][0]["id"], 1)
        self.assertEqual(running.stop()[0], 0)

    def test_keys_that_are_set_count(self):
        volume = self.volume()
        key = "a-key-that-somebody-has-set"
        running = Running(self.image, volume, VECGO_AUTH__WRITE_KEYS=key)
        self.assertEqual(ask(running.address, "/v1/collections", key)[0], 200)
        self.assertFalse((volume / "first-start.key").exists())
        self.assertEqual(running.stop()[0], 0)

    def test_a_volume_that_cannot_be_written_is_named(self):
        volume = self.volume()
        os.chown(volume, 0, 0)
        with self.assertRaisesRegex(AssertionError, "/data"):
            Running(self.image, volume)

    def test_it_speaks_tls_to_buckets(self):
        certificates = pathlib.Path(self.image.root, "etc/ssl/certs/ca-certificates.crt")
        self.assertGreater(certificates.stat().st_size, 100_000)


if __name__ == "__main__":
    unittest.main()
