"""The description of the API is right, and no request that it allows, or does not, breaks the server."""

import json
import unittest

from server import TOOLS, Server, ran

KEY = "a-key-for-a-check-of-the-api"
# What it can be told from the description that it is wrong. Not that a request is accepted or refused:
# vectors have to be of the collection's dimension, which no description can say.
CHECKS = ",".join([
    "not_a_server_error",
    "response_schema_conformance",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "ignored_auth",
])


class Api(unittest.TestCase):
    def test_the_description_is_valid(self):
        with Server() as server:
            _, document = server.ask("/openapi.json")
            path = f"{server.place.name}/openapi.json"
            with open(path, "w") as file:
                file.write(document)
            ran(TOOLS / "python", "-m", "openapi_spec_validator", path)
            self.assertGreater(len(json.loads(document)["paths"]), 30)

    def test_what_is_generated_from_the_description_breaks_nothing(self):
        keys = {"VECGO_AUTH__WRITE_KEYS": KEY}
        with Server("--set", "backup.to=backups", demo=True, **keys) as server:
            ran(
                TOOLS / "schemathesis", "run", server.url + "/openapi.json",
                "--header", f"Authorization: Bearer {KEY}", "--checks", CHECKS, "--max-examples", "50",
                # Its bodies are lines, which the generator cannot write.
                "--exclude-path", "/v1/collections/{name}/import",
                # The same requests each time.
                "--generation-deterministic",
                cwd=server.place.name)
            status, _ = server.ask("/livez")
            self.assertEqual(status, 200)
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
