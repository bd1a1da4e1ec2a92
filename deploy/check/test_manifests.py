"""What cannot be started here is checked against what it has to be: images, manifests, and what they promise."""

import re
import unittest

import yaml
from server import ROOT, TOOLS, VECGO, ran

DEPLOY = ROOT / "deploy"
OVERLAYS = ["base", "overlays/encrypted-volume", "overlays/shared-storage"]
KUBERNETES = "1.30"


def built(overlay):
    return [one for one in yaml.safe_load_all(ran(TOOLS / "kubectl", "kustomize", DEPLOY / "kubernetes" / overlay)) if one]


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
                text = ran(TOOLS / "kubectl", "kustomize", path)
                ran(TOOLS / "kubernetes-validate", "--strict", "-k", KUBERNETES, "-", input=without_custom(text))

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
                [container] = pod["containers"]
                self.assertEqual(container["securityContext"], {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                })
                self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/livez")
                self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/readyz")
                self.assertIn("memory", container["resources"]["limits"])
                mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
                self.assertEqual(mounted, ["/data"])
        self.assertEqual(pods, 4)

    def test_variables_are_ones_that_the_server_knows(self):
        known = settings()
        for overlay in OVERLAYS:
            for name in re.findall(r"\bVECGO_[A-Z_]+", yaml.safe_dump(built(overlay))):
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
                self.assertLessEqual(wanted, service["metadata"]["labels"].items())
                ports = {port["name"] for port in service["spec"]["ports"]}
                for endpoint in monitor["spec"]["endpoints"]:
                    self.assertLessEqual(set(endpoint), {"port", "path", "interval"})
                    self.assertIn(endpoint["port"], ports)
                    self.assertEqual(endpoint["path"], "/metrics")

    def test_what_the_guide_asks_for(self):
        [server] = of_kind(built("base"), "StatefulSet")
        container = server["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(server["spec"]["replicas"], 1)
        self.assertEqual(container["resources"], {
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
        places = [variable["value"] for kind in ("StatefulSet", "Deployment")
                  for variable in of_kind(shared, kind)[0]["spec"]["template"]["spec"]["containers"][0]["env"]
                  if variable["name"] == "VECGO_DATA_DIR"]
        self.assertEqual(len(set(places)), 1, places)
        [readers] = of_kind(shared, "Deployment")
        self.assertEqual(readers["spec"]["template"]["spec"]["containers"][0]["args"], ["--read-only"])
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
                self.assertIs(service["read_only"], True)
                self.assertEqual(service["cap_drop"], ["ALL"])
                for published in service["ports"]:
                    self.assertTrue(published.startswith("127.0.0.1:"), published)
                for variable in service["environment"]:
                    if variable.startswith("VECGO_"):
                        self.assertIn(variable, known)
                for volume in service["volumes"]:
                    self.assertIn(volume.split(":")[0], compose["volumes"])
        self.assertEqual(images, 4)


class Image(unittest.TestCase):
    def test_hadolint(self):
        ran(TOOLS / "hadolint", DEPLOY / "Dockerfile")


if __name__ == "__main__":
    unittest.main()
