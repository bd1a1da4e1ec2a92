"""Series are as Prometheus wants them, and what the dashboard and the alerts ask for is there."""

import json
import re
import subprocess
import time
import unittest

import yaml
from server import ROOT, Server, ran

# The guide names it, and it is no counter.
GUIDE = 'vecgo_vectors_total non-counter metrics should not have "_total" suffix'
# Series that only a replica, a server that makes backups, or one with its data in a bucket has.
ELSEWHERE = {
    "vecgo_replica_lag_seconds",
    "vecgo_store_requests_total",
    "vecgo_store_bytes_total",
}


def asked(server):
    server.ask("/v1/collections/docs", {"dim": 2, "metric": "l2"}, "PUT")
    server.ask("/v1/collections/docs/upsert", {"records": [{"id": 1, "vector": [1, 2]}]})
    server.ask("/v1/collections/docs/search", {"vector": [1, 2]})
    return server.ask("/metrics")[1]


def names(expression):
    """The series that an expression of Prometheus names."""
    return set(re.findall(r"\b(?:vecgo|process)_[a-z_]+", expression))


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Server("--set", "backup.to=backups") as server:
            cls.metrics = asked(server)
        cls.series = set(re.findall(r"^([a-z_]+)(?:\{| )", cls.metrics, re.MULTILINE))

    def test_promtool_finds_nothing_but_the_name_that_the_guide_gave(self):
        done = subprocess.run(["promtool", "check", "metrics"], input=self.metrics, capture_output=True, text=True)
        self.assertEqual(done.stderr.strip().splitlines(), [GUIDE])

    def test_the_alerts_do_what_they_say(self):
        place = ROOT / "deploy/prometheus"
        ran("promtool", "check", "rules", "alerts.yaml", cwd=place)
        ran("promtool", "test", "rules", "alerts-test.yaml", cwd=place)

    def test_what_is_asked_for_is_there(self):
        dashboard = json.loads((ROOT / "deploy/grafana/vecgo.json").read_text())
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
        expressions += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
        self.assertGreater(len(expressions), 25)
        for expression in expressions:
            missing = names(expression) - self.series - ELSEWHERE
            self.assertFalse(missing, expression)

    def test_a_replica_has_series_of_its_own(self):
        with Server() as writer:
            asked(writer)
            with Server("--read-only", uri=f"{writer.place.name}/db") as replica:
                while replica.ask("/readyz")[0] != 200:
                    time.sleep(0.01)
                self.assertIn("vecgo_replica_lag_seconds ", replica.ask("/metrics")[1])


if __name__ == "__main__":
    unittest.main()
