"""A server to look at, in a directory of its own."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The command, and the folder of Python's programs that look at it.
VECGO = os.environ["VECGO"]
TOOLS = pathlib.Path(os.environ["VECGO_TOOLS"])


class Server:
    def __init__(self, *arguments, uri="db", demo=False, **environment):
        self.place = tempfile.TemporaryDirectory()
        command = [VECGO, "--json", "serve", uri, "--listen", "127.0.0.1:0", *arguments]
        if demo:
            command.append("--demo")
        known = {name: value for name, value in os.environ.items() if not name.startswith("VECGO_")}
        self.process = subprocess.Popen(
            command, cwd=self.place.name, env={**known, **environment}, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            said = json.loads(line)
            if "listening" in said:
                self.address = said["listening"]
                self.url = f"http://{self.address}"
                return
            if "error" in said:
                break
        self.__exit__()
        raise AssertionError(f"no server: {said}")

    def ask(self, path, body=None, method=None, key=None):
        """The status and the text of an answer."""
        headers = {} if body is None else {"content-type": "application/json"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self):
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdout.close()
        self.place.cleanup()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.place.cleanup()


def ran(*command, **options):
    """What a program printed that ended well."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
