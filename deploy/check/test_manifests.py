"""What cannot be started here is checked against what it has to be: images, manifests, and what they promise."""

import contextlib
import os
import pathlib
import re
import tempfile
import unittest

import yaml
from server import ROOT, TOOLS, VECGO, ran

DEPLOY = ROOT / "deploy"
OVERLAYS = ["base", "overlays/encrypted-volume", "overlays/shared-storage"]
KUBERNETES = "1.30"


def built(overlay):
    return [one for one in yaml.safe_load_all(kustomized(DEPLOY / "kubernetes" / overlay)) if one]


def kustomized(path):
    return ran(TOOLS / "kubectl", "kustomize", path)


def container(manifest):
    [only] = manifest["spec"]["template"]["spec"]["containers"]
    return only


def variables(manifest):
    return {variable["name"]: variable for variable in container(manifest)["env"]}


@contextlib.contextmanager
def with_backups(overlay):
    """An overlay as somebody writes it who wants backups."""
    with tempfile.TemporaryDirectory() as place:
        kubernetes = pathlib.Path(os.path.relpath(DEPLOY / "kubernetes", os.path.realpath(place)))
        kustomization = {"resources": [str(kubernetes / overlay)], "components": [str(kubernetes / "backup")]}
        pathlib.Path(place, "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        yield pathlib.Path(place)


def of_kind(manifests, kind):
    return [one for one in manifests if one["kind"] == kind]


def settings():
    """The variables that the server knows."""
    printed = yaml.safe_load(ran(VECGO, "--json", "config", "print", env={"PATH": "/bin"}))
    keys = [one["key"] for one in printed["settings"]]
    return {"VECGO_" + key.replace(".", "__").upper() for key in keys} | {"VECGO_DATA_DIR", "VECGO_LOG", "VECGO_SIMD"}


class Kubernetes(unittest.TestCase):
    def test_manifests_are_what_the_cluster_expects(self):
        for overlay in OVERLAYS:
            path = DEPLOY / "kubernetes" / overlay
            with self.subTest(overlay):
                self.check(path)
                with with_backups(overlay) as place:
                    self.check(place)

    def check(self, path):
        text = without_custom(kustomized(path))
        ran(TOOLS / "kubernetes-validate", "--strict", "-k", KUBERNETES, "-", input=text)

    def test_pods_have_no_more_rights_than_they_need(self):
        pods = 0
        for overlay in OVERLAYS:
            manifests = built(overlay)
            for one in of_kind(manifests, "StatefulSet") + of_kind(manifests, "Deployment"):
                pods += 1
                pod = one["spec"]["template"]["spec"]
                self.assertIs(pod["automountServiceAccountToken"], False)
                self.assertIs(pod["enableServiceLinks"], False)
                self.assertGreater(pod["terminationGracePeriodSeconds"], 30)
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                served = container(one)
                self.assertEqual(served["securityContext"], {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                })
                self.assertIn("memory", served["resources"]["limits"])
                mounted = [mount["mountPath"] for mount in served["volumeMounts"]]
                self.assertEqual(mounted, ["/data"])
        self.assertEqual(pods, 4)

    def test_nobody_is_killed_for_taking_long_to_open_and_clients_are_not_in_the_way_of_probes(self):
        for overlay in OVERLAYS:
            manifests = built(overlay)
            for one in of_kind(manifests, "StatefulSet") + of_kind(manifests, "Deployment"):
                served = container(one)
                for probe, path in [("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")]:
                    self.assertEqual(served[f"{probe}Probe"]["httpGet"], {"path": path, "port": "metrics"})
                self.assertEqual(variables(one)["VECGO_SERVER__METRICS_LISTEN"]["value"], "0.0.0.0:9090")

    def test_the_image_and_the_bucket_are_named_once(self):
        for overlay in OVERLAYS:
            manifests = built(overlay)
            images = {container(one)["image"] for one in of_kind(manifests, "StatefulSet") + of_kind(manifests, "Deployment")}
            self.assertEqual(images, {"registry.example.org/vecgo:0.1.0"})
        [place] = of_kind(manifests, "ConfigMap")
        self.assertEqual(place["data"], {"data-dir": "s3://my-bucket/vectors"})
        for kind in ("StatefulSet", "Deployment"):
            [one] = of_kind(manifests, kind)
            named = variables(one)["VECGO_DATA_DIR"]
            self.assertEqual(named["valueFrom"], {"configMapKeyRef": {"name": place["metadata"]["name"], "key": "data-dir"}})
            self.assertNotIn("value", named)

    def test_who_may_be_called(self):
        [policy] = of_kind(built("base"), "NetworkPolicy")
        self.assertEqual(policy["spec"]["policyTypes"], ["Ingress", "Egress"])
        self.assertEqual(policy["spec"]["egress"], [])
        clients, monitoring = policy["spec"]["ingress"]
        self.assertEqual(clients["from"], [{"podSelector": {"matchLabels": {"vecgo-client": "true"}}}])
        self.assertEqual([port["port"] for port in clients["ports"]], [8080])
        self.assertEqual([port["port"] for port in monitoring["ports"]], [9090])
        [shared] = of_kind(built("overlays/shared-storage"), "NetworkPolicy")
        for overlay in ("base", "overlays/shared-storage"):
            with with_backups(overlay) as place:
                manifests = list(yaml.safe_load_all(kustomized(place)))
            [backed_up] = of_kind(manifests, "NetworkPolicy")
            self.assertEqual(backed_up["spec"]["egress"], shared["spec"]["egress"])
            self.assertEqual(backed_up["spec"]["ingress"], policy["spec"]["ingress"])
            [writer] = of_kind(manifests, "StatefulSet")
            self.assertIn("VECGO_BACKUP__TO", variables(writer))
            self.assertIn("VECGO_AUTH__WRITE_KEYS", variables(writer))
        ports = {port["port"] for rule in shared["spec"]["egress"] for port in rule["ports"]}
        self.assertEqual(ports, {53, 80, 443})

    def test_pods_have_names(self):
        [server] = of_kind(built("base"), "StatefulSet")
        [names] = [one for one in of_kind(built("base"), "Service") if one["spec"].get("clusterIP") == "None"]
        self.assertEqual(server["spec"]["serviceName"], names["metadata"]["name"])

    def test_variables_are_ones_that_the_server_knows(self):
        known = settings()
        for overlay in OVERLAYS:
            with with_backups(overlay) as place:
                for name in re.findall(r"\bVECGO_[A-Z_]+", kustomized(place)):
                    self.assertIn(name, known)

    def test_ports_that_are_named_are_there(self):
        for overlay in OVERLAYS:
            manifests = built(overlay)
            pods = [one["spec"]["template"] for one in of_kind(manifests, "StatefulSet") + of_kind(manifests, "Deployment")]
            for service in of_kind(manifests, "Service"):
                wanted = service["spec"]["selector"].items()
                chosen = [pod for pod in pods if wanted <= pod["metadata"]["labels"].items()]
                self.assertEqual(len(chosen), 1, service["metadata"]["name"])
                ports = {port["name"] for port in chosen[0]["spec"]["containers"][0]["ports"]}
                self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports)

    def test_the_monitor_chooses_the_services_and_their_port(self):
        """`ServiceMonitor` is of Prometheus' operator, whose schema is not at hand: what of it matters."""
        for overlay in OVERLAYS[1:]:
            manifests = built(overlay)
            [monitor] = of_kind(manifests, "ServiceMonitor")
            self.assertEqual(monitor["apiVersion"], "monitoring.coreos.com/v1")
            self.assertEqual(set(monitor["spec"]), {"selector", "endpoints"})
            wanted = monitor["spec"]["selector"]["matchLabels"].items()
            for service in of_kind(manifests, "Service"):
                chosen = wanted <= service["metadata"].get("labels", {}).items()
                # No pod is to be read twice.
                self.assertEqual(chosen, service["spec"].get("clusterIP") != "None")
                if not chosen:
                    continue
                ports = {port["name"] for port in service["spec"]["ports"]}
                for endpoint in monitor["spec"]["endpoints"]:
                    self.assertLessEqual(set(endpoint), {"port", "path", "interval"})
                    self.assertIn(endpoint["port"], ports)
                    self.assertEqual(endpoint["path"], "/metrics")

    def test_what_the_guide_asks_for(self):
        [server] = of_kind(built("base"), "StatefulSet")
        self.assertEqual(server["spec"]["replicas"], 1)
        self.assertEqual(container(server)["resources"], {
            "requests": {"memory": "2Gi", "cpu": "1000m"}, "limits": {"memory": "4Gi", "cpu": "2000m"}})
        [claim] = server["spec"]["volumeClaimTemplates"]
        self.assertEqual(claim["spec"]["storageClassName"], "fast-ssd")
        self.assertEqual(claim["spec"]["resources"]["requests"]["storage"], "100Gi")
        encrypted = built("overlays/encrypted-volume")
        [storage] = of_kind(encrypted, "StorageClass")
        self.assertEqual(storage["parameters"]["encrypted"], "true")
        [claim] = of_kind(encrypted, "StatefulSet")[0]["spec"]["volumeClaimTemplates"]
        self.assertEqual(claim["spec"]["storageClassName"], storage["metadata"]["name"])
        shared = built("overlays/shared-storage")
        [readers] = of_kind(shared, "Deployment")
        self.assertEqual(container(readers)["args"], ["--read-only"])
        [scaler] = of_kind(shared, "HorizontalPodAutoscaler")
        self.assertEqual(scaler["spec"]["scaleTargetRef"]["name"], readers["metadata"]["name"])


def without_custom(text):
    return "\n---\n".join(one for one in text.split("\n---\n") if "kind: ServiceMonitor" not in one)


class Compose(unittest.TestCase):
    def test_services_are_as_safe_as_the_image(self):
        known, images = settings(), 0
        for name in ["embedded.yaml", "shared-storage.yaml"]:
            compose = yaml.safe_load((DEPLOY / "compose" / name).read_text())
            for service in compose["services"].values():
                self.assertIn("healthcheck", service)
                if "build" not in service:
                    continue
                images += 1
                context = (DEPLOY / "compose" / service["build"]["context"]).resolve()
                self.assertEqual(context, ROOT)
                self.assertTrue((context / service["build"]["dockerfile"]).is_file())
                self.assertEqual(service["image"], "vecgo")
                self.assertIs(service["read_only"], True)
                self.assertEqual(service["deploy"]["resources"]["limits"]["memory"], "4G")
                self.assertIn("VECGO_DATA_DIR", service["environment"])
                may_write = "--read-only" not in service.get("command", [])
                self.assertEqual("VECGO_AUTH__WRITE_KEYS" in service["environment"], may_write)
                self.assertEqual(service["cap_drop"], ["ALL"])
                for published in service["ports"]:
                    self.assertTrue(published.startswith("127.0.0.1:"), published)
                for variable in service["environment"]:
                    if variable.startswith("VECGO_"):
                        self.assertIn(variable, known)
                for volume in service["volumes"]:
                    self.assertIn(volume.split(":")[0], compose["volumes"])
        self.assertEqual(images, 4)

    def test_what_the_guide_asks_for(self):
        service = yaml.safe_load((DEPLOY / "compose/embedded.yaml").read_text())["services"]["vecgo"]
        self.assertEqual(service["environment"]["VECGO_DATA_DIR"], "/data")
        self.assertIn("vecgo-data:/data", service["volumes"])
        self.assertEqual(service["deploy"]["resources"], {
            "limits": {"memory": "4G"}, "reservations": {"memory": "2G"}})


class Image(unittest.TestCase):
    def test_hadolint(self):
        ran(TOOLS / "hadolint", DEPLOY / "Dockerfile")


if __name__ == "__main__":
    unittest.main()
