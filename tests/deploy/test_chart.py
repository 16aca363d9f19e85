"""The Helm chart: rendered by Helm, judged by the schemas of Kubernetes and by our own settings."""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from gateway import __version__
from gateway.cli.entry import graygate
from gateway.config.load import load
from gateway.config.variables import GATEWAY_CA_VARIABLE
from gateway.process.slots import CONTROL_END_SECONDS
from gateway.process.supervisor import _DRAIN_GRACE_SECONDS
from tests.deploy.charting import CHART, ROOT, Rendered, Values, default_values, render, told_for
from tests.deploy.rules import alerts, records
from tests.tls import Authority

URL = {"url": "redis://store:6379/0"}
SECRETS = (
    *("admin-token", "redis-password", "redis-sentinel-password"),
    *("override-key", "jwt-key", "units-key"),
)

ACCEPTED: dict[str, Values] = {
    "plain": {"redis": URL},
    "sentinel": {
        "redis": {
            "sentinel": {"nodes": ["s-0:26379", "s-1:26379", "s-2"], "service": "gray"},
            "sentinelUsername": "watch",
        },
        "secrets": {"redisPassword": "hush", "redisSentinelPassword": "hush too"},
    },
    "cluster": {"redis": {**URL, "cluster": True, "username": "graygate"}},
    "secure": {
        "redis": {"url": "rediss://store:6380/0", "tlsSecret": "store-tls", "tlsClient": True},
        "secrets": {"existingSecret": "mine", "keys": list(SECRETS)},
        "tls": {"secret": "models-tls"},
        "adminTls": {"secret": "admin-tls", "caKey": "ca.crt"},
        "serviceMonitor": {"enabled": True},
        "image": {"repository": "mirror/graygate", "digest": "sha256:" + "0" * 64},
    },
    "trusted by all": {
        "redis": URL,
        "tls": {"secret": "shared", "certKey": "data.pem", "keyKey": "data.key"},
        "adminTls": {"secret": "shared", "certKey": "admin.pem", "keyKey": "admin.key"},
        "serviceMonitor": {"enabled": True},
    },
    "names that look like numbers": {
        "redis": {"url": "rediss://store:6380/0", "tlsSecret": "1"},
        "nameOverride": "100",
        "fullnameOverride": "graygate",
        "secrets": {"existingSecret": "0123"},
        "tls": {"secret": "2", "certKey": "3", "keyKey": "4"},
        "adminTls": {"secret": "5", "certKey": "6", "keyKey": "7", "caKey": "8"},
        "serviceAccount": {"name": "9"},
        "serviceMonitor": {"enabled": True},
        "priorityClassName": "10",
        "ingress": {"enabled": True, "className": "11", "hosts": [{"host": "models.example"}]},
    },
    "everything": {
        "redis": {**URL, "prefix": "team:"},
        "settings": {
            "process": {"workers": 4, "drain_seconds": 90.5, "unready_seconds": 0},
            "limits": {"body_bytes": 1_073_741_824, "head_seconds": 2.5},
            "redis": {"tracking": False},
            "routing": {"trusted_proxies": ["10.0.0.0/8", "private"], "jwt_issuer": 'a "b" <c>'},
            "notify": [
                {
                    "name": "team",
                    "kind": "slack",
                    "url_file": "/run/secrets/graygate/notify-team",
                }
            ],
        },
        "secrets": {"files": {"notify-team": "https://chat.example/x"}},
        "preStopSleepSeconds": 5,
        "autoscaling": {"enabled": True, "minReplicas": 3},
        "podDisruptionBudget": {"minAvailable": "50%"},
        "networkPolicy": {
            "enabled": True,
            "dataFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "adminFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"ports": [{"port": 6379}]}],
        },
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "runbookBase": "https://wiki.example/"},
        "dashboard": {"enabled": True},
        "httpRoute": {
            "enabled": True,
            "parentRefs": [{"name": "public"}],
            "hostnames": ["models.example"],
        },
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "hosts": [{"host": "models.example"}],
            "tls": [{"secretName": "models", "hosts": ["models.example"]}],
        },
        "service": {"type": "LoadBalancer", "port": 80, "externalTrafficPolicy": "Local"},
        "adminService": {"hosts": ["graygate.example"]},
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
        "podLabels": {"team": "models"},
        "podAnnotations": {"note": "kept"},
        "imagePullSecrets": [{"name": "pull"}],
        "priorityClassName": "high",
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    },
}

REFUSED: dict[str, tuple[Values, str]] = {
    "no store": ({}, "must name the store"),
    "two stores": ({"redis": {**URL, "sentinel": {"nodes": ["a"]}}}, "keep one of them"),
    "cluster with Sentinels": (
        {"redis": {"cluster": True, "sentinel": {"nodes": ["a"]}}},
        "a Cluster has no Sentinels",
    ),
    "password in the URL": ({"redis": {"url": "redis://:hush@store:6379/0"}}, "redis"),
    "another scheme": ({"redis": {"url": "http://store"}}, "redis"),
    "unknown value": ({"redis": URL, "replicas": 3}, "replicas"),
    "unknown setting": ({"redis": URL, "settings": {"limits": {"bodybytes": 1}}}, "bodybytes"),
    "unknown section": ({"redis": URL, "settings": {"limit": {}}}, "limit"),
    "the chart's own setting": ({"redis": URL, "settings": {"admin": {"port": 1}}}, "admin"),
    "a secret among the settings": (
        {"redis": URL, "settings": {"routing": {"jwt_key": "hush"}}},
        "jwt_key",
    ),
    "setting out of range": (
        {"redis": URL, "settings": {"process": {"workers": 0}}},
        "workers",
    ),
    "setting of a wrong type": ({"redis": URL, "settings": {"log": {"level": "loud"}}}, "level"),
    "port out of range": ({"redis": URL, "service": {"port": 70_000}}, "port"),
    "negative replicas": ({"redis": URL, "replicaCount": -1}, "replicaCount"),
    "a token with a blank": (
        {"redis": URL, "secrets": {"adminToken": "a token with some blanks"}},
        "adminToken",
    ),
    "a token that can be guessed": (
        {"redis": URL, "secrets": {"adminToken": "t" * 19}},
        "adminToken",
    ),
    "a secret without the token": (
        {"redis": URL, "secrets": {"existingSecret": "mine", "keys": ["jwt-key"]}},
        "keys",
    ),
    "a client certificate from nowhere": ({"redis": {**URL, "tlsClient": True}}, "tlsSecret"),
    "an authority from nowhere": ({"redis": URL, "adminTls": {"caKey": "ca.crt"}}, "adminTls"),
    "a key that no secret has": (
        {"redis": URL, "tls": {"secret": "a", "certKey": "b/c"}},
        "certKey",
    ),
    "a route without a gateway": ({"redis": URL, "httpRoute": {"enabled": True}}, "parentRefs"),
    "a name that no service can have": ({"redis": URL, "fullnameOverride": "v1.gray"}, "v1.gray"),
    "fewer at most than at least": (
        {"redis": URL, "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 2}},
        "autoscaling.maxReplicas",
    ),
    "a policy for traffic that does not come from outside": (
        {"redis": URL, "service": {"externalTrafficPolicy": "Local"}},
        "LoadBalancer",
    ),
    "ranges of a balancer that is none": (
        {"redis": URL, "service": {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]}},
        "LoadBalancer",
    ),
    "an address as a range": (
        {
            "redis": URL,
            "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1"]},
        },
        "loadBalancerSourceRanges",
    ),
    "a label by which pods are found": (
        {"redis": URL, "podLabels": {"app.kubernetes.io/name": "mine"}},
        "app.kubernetes.io/name",
    ),
    "an ingress without a host": ({"redis": URL, "ingress": {"enabled": True}}, "ingress.hosts"),
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, Rendered]:
    refused = {name: values for name, (values, _) in REFUSED.items()}
    return render(**ACCEPTED, **refused)


@pytest.mark.parametrize("name", ACCEPTED)
def test_kubernetes_accepts_what_the_chart_makes(name: str, rendered: dict[str, Rendered]) -> None:
    assert (rendered[name].error, rendered[name].invalid) == ("", [])


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_values_are_refused_by_name(name: str, rendered: dict[str, Rendered]) -> None:
    assert REFUSED[name][1] in rendered[name].error


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_gateway_accepts_the_settings_and_secrets_that_the_pod_gives_it(
    name: str, rendered: dict[str, Rendered], tmp_path: Path, authority: Authority
) -> None:
    chart = rendered[name]
    files = laid_out(chart, tmp_path, authority)
    text = files["/etc/graygate/gateway.toml"].read_text()
    environ = {v["name"]: v["value"] for v in chart.container().get("env", [])}
    for path, real in files.items():
        text = text.replace(f'"{path}"', f'"{real}"')
        environ = {key: value.replace(path, str(real)) for key, value in environ.items()}
    files["/etc/graygate/gateway.toml"].write_text(text)
    program = [*chart.container()["args"]]
    program[program.index("--config") + 1] = str(files["/etc/graygate/gateway.toml"])
    assert program[0] == "serve"
    done = CliRunner().invoke(graygate, ["config", "check", *program[1:]], env=environ)
    assert done.exit_code == 0, done.output
    settings = load(files["/etc/graygate/gateway.toml"], environ, {}).settings
    assert (settings.listen.port, settings.admin.port) == (8080, 8081)
    assert settings.admin.token.reveal()
    assert settings.process.state_dir.startswith("/var/lib/graygate/")


def laid_out(chart: Rendered, folder: Path, authority: Authority) -> dict[str, Path]:
    """The files that the pod finds, by the path it finds them at."""
    mounts = {m["name"]: m["mountPath"] for m in chart.container()["volumeMounts"]}
    settings = folder / "gateway.toml"
    settings.write_text(chart.one("ConfigMap", "graygate")["data"]["gateway.toml"])
    found = {"/etc/graygate/gateway.toml": settings}
    for volume in chart.pod()["volumes"]:
        if "secret" not in volume:
            continue
        at = mounts[volume["name"]]
        if volume["name"] == "secrets":
            for item in volume["secret"]["items"]:
                path = folder / item["path"]
                is_url = item["key"].startswith("notify-")
                path.write_text("https://chat.example/x" if is_url else "hush-hush-hush-hush")
                found[f"{at}/{item['path']}"] = path
        else:
            certificate, key = authority.issue("store")
            found[f"{at}/ca.crt"] = Path(authority.ca)
            found[f"{at}/tls.crt"] = Path(certificate)
            found[f"{at}/tls.key"] = Path(key)
    return found


def test_the_store_is_named_as_the_values_say(rendered: dict[str, Rendered]) -> None:
    def redis(name: str) -> dict[str, Any]:
        data = rendered[name].one("ConfigMap", "graygate")["data"]["gateway.toml"]
        found: dict[str, Any] = tomllib.loads(data)["redis"]
        return found

    assert redis("plain") == {"url": "redis://store:6379/0"}
    assert redis("sentinel") == {
        "url": "redis+sentinel://s-0:26379,s-1:26379,s-2/gray/0",
        "sentinel_username": "watch",
    }
    assert redis("cluster")["prefix"] == "{gray}:"
    assert redis("everything") == {**URL, "prefix": "team:", "tracking": False}
    assert "HSET team:route:chat" in rendered["everything"].notes


def test_no_secret_is_a_variable_or_a_setting(rendered: dict[str, Rendered]) -> None:
    chart = rendered["sentinel"]
    secret = own_secret(chart)
    assert secret["redis-password"] == "hush" and len(secret["admin-token"]) == 48
    others = [d for d in chart.documents if d["kind"] != "Secret"]
    assert "hush" not in str(others) and secret["admin-token"] not in str(others)
    assert "Secret" not in rendered["secure"].kinds()  # somebody else's is used
    assert {item["key"] for item in secret_volume(rendered["secure"])["items"]} == set(SECRETS)
    variables = {v["name"] for v in chart.container()["env"]}
    assert all(name.endswith("_FILE") for name in variables)


def own_secret(chart: Rendered) -> dict[str, str]:
    """Given as data: of stringData, Kubernetes keeps what an upgrade leaves out."""
    secret = chart.one("Secret")
    assert "stringData" not in secret
    return {key: b64decode(value).decode() for key, value in secret["data"].items()}


def test_other_settings_and_other_secrets_make_other_pods() -> None:
    token = {"adminToken": "t" * 20}
    charts = render(
        one={"redis": URL, "secrets": token},
        same={"redis": URL, "secrets": token, "replicaCount": 5},
        secret={"redis": URL, "secrets": {**token, "redisPassword": "hush"}},
        setting={"redis": URL, "secrets": token, "settings": {"log": {"level": "debug"}}},
        theirs={"redis": URL, "secrets": {"existingSecret": "mine"}},
        random={"redis": URL},
    )
    sums = {
        name: chart.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
        for name, chart in charts.items()
    }
    assert sums["one"] == sums["same"]
    assert sums["one"]["checksum/secrets"] != sums["secret"]["checksum/secrets"]
    assert sums["one"]["checksum/settings"] != sums["setting"]["checksum/settings"]
    assert sums["theirs"].keys() == {"checksum/settings"}
    # The one that is made is the same for the secret and for the sum, or the next upgrade would
    # make other pods for nothing.
    made = msgspec.json.encode(own_secret(charts["random"]))
    assert sums["random"]["checksum/secrets"] == hashlib.sha256(made).hexdigest()


@pytest.mark.parametrize(("kubernetes", "is_told"), [("1.29.9", True), ("v1.30.2-gke.1", False)])
def test_a_kubernetes_that_knows_no_sleeping_hook_is_named(kubernetes: str, is_told: bool) -> None:
    told = told_for(kubernetes, {"redis": URL, "preStopSleepSeconds": 5})
    assert (f"needs Kubernetes 1.30, and this is v{kubernetes.strip('v')}" in told) is is_told
    assert "needs Kubernetes" not in told_for("1.27.0", {"redis": URL})


def secret_volume(chart: Rendered) -> dict[str, Any]:
    [found] = [v["secret"] for v in chart.pod()["volumes"] if v["name"] == "secrets"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("name", "seconds"), [("plain", 10 + 30 + 15), ("everything", 5 + 0 + 91 + 15)]
)
def test_kubernetes_waits_for_as_long_as_the_gateway_may_take(
    name: str, seconds: int, rendered: dict[str, Rendered]
) -> None:
    assert rendered[name].pod()["terminationGracePeriodSeconds"] == seconds
    assert _DRAIN_GRACE_SECONDS + CONTROL_END_SECONDS < 15
    lifecycle = rendered[name].container().get("lifecycle")
    assert lifecycle == (None if name == "plain" else {"preStop": {"sleep": {"seconds": 5}}})


def test_the_pod_has_no_more_rights_than_it_needs(rendered: dict[str, Rendered]) -> None:
    for document in rendered["everything"].documents:
        if document["kind"] not in ("Deployment", "Pod"):
            continue
        pod = document["spec"] if document["kind"] == "Pod" else rendered["everything"].pod()
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize(
    ("name", "limit"), [("plain", {"maxUnavailable": 1}), ("everything", {"minAvailable": "50%"})]
)
def test_only_pods_that_serve_can_hold_up_the_draining_of_a_node(
    name: str, limit: dict[str, Any], rendered: dict[str, Rendered]
) -> None:
    budget = rendered[name].one("PodDisruptionBudget")["spec"]
    assert budget.pop("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    pod = rendered[name].one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert budget.pop("selector")["matchLabels"].items() <= pod.items()
    assert budget == limit


def test_services_and_probes_lead_to_ports_that_there_are(rendered: dict[str, Rendered]) -> None:
    chart = rendered["everything"]
    ports = {port["name"]: port["containerPort"] for port in chart.container()["ports"]}
    assert ports == {"data": 8080, "admin": 8081}
    labels = chart.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    for name, port, target in (("gray-graygate", 80, "data"), ("-admin", 8081, "admin")):
        service = chart.one("Service", name)["spec"]
        assert service["selector"].items() <= labels.items()
        assert [(p["port"], p["targetPort"]) for p in service["ports"]] == [(port, target)]
    assert chart.one("Service", "-admin")["spec"]["type"] == "ClusterIP"
    container = chart.container()
    for probe, path in (
        ("startup", "/healthz"),
        ("liveness", "/healthz"),
        ("readiness", "/readyz"),
    ):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "admin"}


@pytest.mark.parametrize(
    ("name", "secret", "keys"),
    [
        ("secure", "admin-tls", ["tls.crt", "tls.key"]),
        ("trusted by all", "shared", ["admin.pem", "admin.key"]),
    ],
)
def test_an_admin_port_with_a_certificate_is_asked_by_tls_everywhere(
    name: str, secret: str, keys: list[str], rendered: dict[str, Rendered]
) -> None:
    chart = rendered[name]
    [mounted] = [v["secret"] for v in chart.pod()["volumes"] if v["name"] == "admin-tls"]
    assert mounted["secretName"] == secret
    assert [item["key"] for item in mounted["items"]] == keys
    assert [item["path"] for item in mounted["items"]] == ["tls.crt", "tls.key"]
    for probe in ("startup", "liveness", "readiness"):
        assert chart.container()[f"{probe}Probe"]["httpGet"]["scheme"] == "HTTPS"
    [port] = chart.one("Service", "-admin")["spec"]["ports"]
    assert (port["name"], port["appProtocol"]) == ("admin", "https")
    [container] = chart.one("Pod")["spec"]["containers"]
    assert "https://gray-graygate-admin.models.svc:8081" in container["args"]
    [endpoint] = chart.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"]["serverName"] == "gray-graygate-admin.models.svc"
    assert "GRAYGATE_GATEWAY=https://localhost:8081" in chart.notes
    assert "http://127.0.0.1" not in chart.notes


def test_the_authority_of_the_admin_port_is_given_to_those_who_check_it(
    rendered: dict[str, Rendered],
) -> None:
    chart = rendered["secure"]
    [endpoint] = chart.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["tlsConfig"]["ca"] == {"secret": {"name": "admin-tls", "key": "ca.crt"}}
    tester = chart.one("Pod")["spec"]
    [container] = tester["containers"]
    [mount] = container["volumeMounts"]
    file = {"name": GATEWAY_CA_VARIABLE, "value": f"{mount['mountPath']}/ca.crt"}
    assert container["env"] == [file]
    [volume] = tester["volumes"]  # the key is not there
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert r"{.data.ca\.crt}" in chart.notes
    other = rendered["trusted by all"]
    assert "ca" not in other.one("ServiceMonitor")["spec"]["endpoints"][0]["tlsConfig"]
    assert "volumes" not in other.one("Pod")["spec"]
    assert GATEWAY_CA_VARIABLE not in other.notes


def test_without_a_certificate_nobody_asks_by_tls(rendered: dict[str, Rendered]) -> None:
    chart = rendered["everything"]
    [endpoint] = chart.one("ServiceMonitor")["spec"]["endpoints"]
    assert not {"scheme", "tlsConfig"} & endpoint.keys()
    [port] = chart.one("Service", "-admin")["spec"]["ports"]
    assert port["appProtocol"] == "http"
    assert "https://" not in chart.notes


def test_names_by_which_the_admin_port_is_called_are_its_own(rendered: dict[str, Rendered]) -> None:
    chart = rendered["everything"]
    data = chart.one("ConfigMap", "gray-graygate")["data"]["gateway.toml"]
    names = tomllib.loads(data)["admin"]["hosts"]
    service = chart.one("Service", "-admin")["metadata"]["name"]
    assert {service, f"{service}.models", f"{service}.models.svc", "graygate.example"} <= set(names)
    [container] = chart.one("Pod")["spec"]["containers"]
    done = CliRunner().invoke(graygate, [*container["args"], "--help"])
    assert done.exit_code == 0
    assert f"http://{service}.models.svc:8081" in container["args"]
    assert "volumes" not in chart.one("Pod")["spec"]


def test_the_rules_of_the_chart_are_those_of_the_project(rendered: dict[str, Rendered]) -> None:
    groups = rendered["everything"].one("PrometheusRule")["spec"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert [r["record"] for r in rules if "record" in r] == list(records())
    found = {r["alert"]: r for r in rules if "alert" in r}
    assert list(found) == list(alerts())
    url = "https://wiki.example/deploy/runbook.md#graygatedown"
    assert found["GraygateDown"]["annotations"]["runbook_url"] == url
    assert found["GraygateDown"]["expr"] == 'up{job="graygate"} == 0'


def test_prometheus_gets_the_token_and_the_job_that_the_rules_look_for(
    rendered: dict[str, Rendered],
) -> None:
    chart = rendered["everything"]
    monitor = chart.one("ServiceMonitor")["spec"]
    labels = chart.one("Service", "-admin")["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    [endpoint] = monitor["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "graygate"}]
    credentials = endpoint["authorization"]["credentials"]
    assert credentials == {"name": "gray-graygate", "key": "admin-token"}


def test_what_is_off_is_not_made(rendered: dict[str, Rendered]) -> None:
    assert rendered["plain"].kinds() == {
        *("ConfigMap", "Secret", "ServiceAccount", "Service"),
        *("Deployment", "PodDisruptionBudget", "Pod"),
    }
    assert "replicas" not in rendered["everything"].one("Deployment")["spec"]
    assert rendered["everything"].kinds() >= {
        *("HorizontalPodAutoscaler", "NetworkPolicy", "ServiceMonitor", "PrometheusRule"),
        *("HTTPRoute", "Ingress"),
    }


def test_the_schema_knows_every_value_and_values_every_key() -> None:
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes())
    values = default_values()
    known = schema["properties"]
    assert known.keys() - {"global"} == values.keys()
    for name, value in values.items():
        if isinstance(value, dict) and known[name].get("additionalProperties") is False:
            assert value.keys() <= known[name]["properties"].keys(), name
            if name not in ("settings", "resources"):
                assert value.keys() == known[name]["properties"].keys(), name


def test_what_the_chart_takes_from_elsewhere_is_in_step() -> None:
    """`make chart` brings it there."""
    spec = importlib.util.spec_from_file_location("update", ROOT / "deploy" / "helm" / "update.py")
    assert spec and spec.loader
    update = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update)
    for path, text in update.wanted().items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)} is out of step: make chart"
    assert f'appVersion: "{__version__}"' in (CHART / "Chart.yaml").read_text()
