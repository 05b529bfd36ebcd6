#!/usr/bin/env python3
"""Checks deploy/ without a cluster, in seconds once its tools are installed.

    deploy/check.py [--hotspan target/debug/hotspan]

* every YAML and JSON file parses, without repeated keys;
* the Kubernetes objects, plain and rendered from the chart with each file of helm/hotspan/ci, are valid by the
  schemas of Kubernetes (PyPI `kubernetes-validate` ships them); values that the chart must refuse are refused;
* the selectors, volumes, ports and secrets that one object names exist in the others;
* Collector pipelines name only components that are defined; systemd knows every setting of the unit;
* alert rules have an expression, a severity and a summary; the panels of the dashboard do not overlap;
* with --hotspan: every flag, HOTSPAN_… variable and TOML setting used here is one that the program knows, and every
  metric and label of the dashboard and the alerts is in what a running server answers.

Installs what it needs into $HOME/.cache/hotspan (Helm as a Go module: minutes, once), and skips with a reason what
cannot be installed. Exit code 1 when a check fails.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request

DEPLOY = pathlib.Path(__file__).resolve().parent
CHART = DEPLOY / "helm" / "hotspan"
CACHE = pathlib.Path(os.environ.get("HOTSPAN_CACHE", pathlib.Path.home() / ".cache" / "hotspan"))
PACKAGES = ["pyyaml==6.0.3", "kubernetes-validate==1.37.0"]
HELM = "3.22.0"
KUBERNETES = ["1.29", "1.37"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hotspan", metavar="BINARY", help="compare flags, variables and settings with this program")
    arguments = parser.parse_args()
    enter_environment()
    checks = Checks()
    documents = checks.run("YAML, JSON and TOML files parse", parse_files)
    if documents is None:
        sys.exit(checks.close())
    manifests = [d for path, ds in documents.items() if path.parent.name == "k8s" for d in ds]
    checks.run("k8s/: valid objects", kubernetes_objects, manifests)
    checks.run("k8s/: references", references, manifests)
    example = documents[DEPLOY / "examples" / "spring-cloud" / "kubernetes.yaml"]
    checks.run("examples/spring-cloud: valid objects", kubernetes_objects, example)
    checks.run("compose.yaml: references", compose, documents)
    for path, (document, *_) in documents.items():
        if path.parent.name == "otelcol":
            checks.run(f"otelcol/{path.name}: pipelines", collector, document)
    checks.run("systemd/hotspan.service: known to systemd, hardened", systemd)
    checks.run("prometheus/rules.yaml: alerts", alerts, documents)
    checks.run("grafana/hotspan.json: panels", panels)
    chart(checks)
    if arguments.hotspan:
        checks.run("flags, variables and settings exist", names, arguments.hotspan, documents)
        checks.run("metrics and labels exist", metrics, arguments.hotspan, documents)
    else:
        checks.skip("flags, variables, settings and metrics exist", "--hotspan was not given")
    sys.exit(checks.close())


class Failed(Exception):
    """A check found something; the lines say what."""


class Skip(Exception):
    """A check cannot run here; the message says why."""


class Checks:
    """Runs, prints and counts."""

    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def run(self, name, check, *arguments):
        try:
            answer = check(*arguments)
        except Failed as failed:
            return self.fail(name, failed.args)
        except (KeyError, TypeError, ValueError) as error:
            return self.fail(name, [f"something is missing or of another shape: {error!r}"])
        except Skip as skip:
            return self.skip(name, skip)
        self.counts["passed"] += 1
        print(f"ok       {name}", flush=True)
        return answer

    def fail(self, name, lines):
        self.counts["failed"] += 1
        print(f"FAILED   {name}")
        for line in lines:
            print(f"         {line}")

    def skip(self, name, why):
        self.counts["skipped"] += 1
        print(f"skipped  {name}: {why}", flush=True)

    def close(self):
        print("{passed} passed, {failed} failed, {skipped} skipped".format(**self.counts))
        return 1 if self.counts["failed"] else 0


def enter_environment():
    """Runs this program again in an environment that has PACKAGES, made when it is missing."""
    folder = CACHE / "deploy-check"
    python = folder / "bin" / "python"
    if pathlib.Path(sys.prefix) == folder:
        return
    stamp = folder / "packages"
    if not stamp.exists() or stamp.read_text() != "\n".join(PACKAGES):
        install = [python, "-m", "pip", "install", "--quiet", *PACKAGES]
        for step in ([sys.executable, "-m", "venv", folder], install):
            if subprocess.run(step).returncode != 0:
                sys.exit(f"deploy/check.py could not install {', '.join(PACKAGES)}")
        stamp.write_text("\n".join(PACKAGES))
    os.execv(python, [python, __file__, *sys.argv[1:]])


def tell(problems):
    if problems:
        raise Failed(*problems)


# -- files


def load_yaml(text):
    """All documents of a YAML text; a repeated key is an error, which PyYAML alone would let pass."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"repeated key {key.value!r}", key.start_mark)
            seen.add(key.value)
        loader.flatten_mapping(node)
        return dict(loader.construct_pairs(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return [document for document in yaml.load_all(text, Loader) if document is not None]


def parse_files():
    """Each YAML file's documents, the chart's templates excepted; JSON and TOML files are only parsed."""
    import yaml

    documents, problems = {}, []
    for path in sorted(DEPLOY.rglob("*")):
        if "templates" in path.parts or not path.is_file():
            continue
        try:
            if path.suffix in (".yaml", ".yml"):
                documents[path] = load_yaml(path.read_text())
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".toml":
                tomllib.loads(path.read_text())
        except (yaml.YAMLError, ValueError) as error:
            problems.append(f"{path.relative_to(DEPLOY)}: {error}")
    tell(problems)
    return documents


# -- Kubernetes


def kubernetes_objects(documents):
    import kubernetes_validate

    problems = []
    for document in documents:
        if document["kind"] == "Kustomization":
            missing = [name for name in document["resources"] if not (DEPLOY / "k8s" / name).exists()]
            problems += [f"kustomization.yaml: {name} does not exist" for name in missing]
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                at = ".".join(str(part) for part in error.path)
                problems.append(f"{label(document)} by Kubernetes {version}: {at}: {error.message}")
    tell(problems)


def label(document):
    return f"{document['kind']} {document['metadata']['name']}"


def references(documents, elsewhere=()):
    """What the StatefulSet, the Services and the policies name exists. `elsewhere`: Secrets the user makes."""
    by_kind = {}
    for document in documents:
        if document["kind"] != "Kustomization":
            by_kind.setdefault(document["kind"], []).append(document)
    (workload,) = by_kind["StatefulSet"]
    pod = workload["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    problems = [] if workload["spec"]["replicas"] == 1 else ["more than one replica"]
    named = {kind: {d["metadata"]["name"] for d in ds} for kind, ds in by_kind.items()}

    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    if mounted != volumes.keys() | claims:
        problems.append(f"volumes {sorted(volumes.keys() | claims)}, mounted {sorted(mounted)}")
    for volume in volumes.values():
        secret, config = volume.get("secret"), volume.get("configMap")
        if secret and secret["secretName"] not in named.get("Secret", set()) | set(elsewhere):
            problems.append(f"no Secret {secret['secretName']}")
        if config and config["name"] not in named.get("ConfigMap", set()):
            problems.append(f"no ConfigMap {config['name']}")

    ports = {port["name"] for port in container["ports"]}
    labels = pod["metadata"]["labels"].items()
    for service in by_kind["Service"]:
        problems += [f"no port {p['targetPort']}" for p in service["spec"]["ports"] if p["targetPort"] not in ports]
    selectors = [workload["spec"]["selector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in by_kind["Service"]]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in by_kind.get("NetworkPolicy", [])]
    selectors += [budget["spec"]["selector"]["matchLabels"] for budget in by_kind.get("PodDisruptionBudget", [])]
    problems += [f"selector {selector} matches no pod" for selector in selectors if not selector.items() <= labels]

    security = container["securityContext"] | pod["spec"]["securityContext"]
    expected = {"readOnlyRootFilesystem": True, "runAsNonRoot": True, "allowPrivilegeEscalation": False}
    problems += [f"{key} is not {value}" for key, value in expected.items() if security.get(key) is not value]
    tell(problems)


# -- compose and the Collector


def compose(documents):
    (document,) = documents[DEPLOY / "compose.yaml"]
    services, problems = document["services"], []
    for name, service in services.items():
        build = service.get("build", {})
        context = DEPLOY / (build if isinstance(build, str) else build.get("context", "."))
        dockerfile = context / (build.get("dockerfile", "Dockerfile") if isinstance(build, dict) else "Dockerfile")
        if build and not dockerfile.exists():
            problems.append(f"{name}: {dockerfile} does not exist")
        problems += [f"{name}: depends on {other}" for other in service.get("depends_on", []) if other not in services]
        for value in service.get("environment", {}).values():
            for host in re.findall(r"http://([a-z]+):", str(value)):
                if host not in services:
                    problems.append(f"{name}: no service {host}")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                problems.append(f"{name}: port {port} is open to other machines")
    tell(problems)


def collector(document):
    problems = []
    for name, pipeline in document["service"]["pipelines"].items():
        for section in ("receivers", "processors", "exporters"):
            undefined = set(pipeline[section]) - document[section].keys()
            problems += [f"pipeline {name}: no {section[:-1]} {one}" for one in undefined]
    extensions = set(document["service"]["extensions"])
    if extensions != document["extensions"].keys():
        problems.append(f"extensions {sorted(document['extensions'])}, started {sorted(extensions)}")
    for name, exporter in document["exporters"].items():
        if exporter["sending_queue"]["storage"] not in extensions:
            problems.append(f"{name}: its queue is not on disk")
    tell(problems)


# -- systemd


def systemd():
    """`verify` names unknown settings; `security` rates the sandbox from 0 (closed) to 100."""
    if shutil.which("systemd-analyze") is None:
        raise Skip("systemd-analyze not found on PATH")
    unit = DEPLOY / "systemd" / "hotspan.service"
    quiet = os.environ | {"SYSTEMD_LOG_LEVEL": "warning"}
    verify = subprocess.run(["systemd-analyze", "verify", unit], env=quiet, capture_output=True, text=True)
    problems = [line for line in verify.stderr.splitlines() if unit.name in line and "not executable" not in line]
    rating = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit]
    done = subprocess.run(rating, capture_output=True, text=True)
    if done.returncode != 0:
        problems += (done.stdout or done.stderr).strip().splitlines()[-1:]
    tell(problems)


# -- the chart


def chart(checks):
    try:
        helm = install_helm()
    except Skip as skip:
        checks.skip("helm/hotspan", skip)
        return
    for path in sorted((CHART / "ci").glob("*.yaml")):
        if path.name.startswith("refused"):
            checks.run(f"helm/hotspan: {path.name} is refused", refused, helm, path)
            continue
        checks.run(f"helm/hotspan: lint, {path.name}", lint, helm, path)
        rendered = checks.run(f"helm/hotspan: template, {path.name}", template, helm, path)
        if rendered:
            values = load_yaml(path.read_text())[0]
            elsewhere = {values.get(key, {}).get("existingSecret", "") for key in ("tokens", "tls")}
            checks.run(f"helm/hotspan: valid objects, {path.name}", kubernetes_objects, rendered)
            checks.run(f"helm/hotspan: references, {path.name}", references, rendered, elsewhere)


def install_helm():
    folder = CACHE / "tools" / f"helm-{HELM}"
    helm = folder / "helm"
    if helm.exists():
        return helm
    if shutil.which("helm"):
        return shutil.which("helm")
    if shutil.which("go") is None:
        raise Skip("neither helm nor go, which would build it, is on PATH")
    print(f"building helm {HELM}, once; this takes minutes", flush=True)
    environment = os.environ | {"GOBIN": str(folder), "GOFLAGS": "-trimpath", "GOTOOLCHAIN": "local"}
    command = ["nice", "go", "install", f"helm.sh/helm/v3/cmd/helm@v{HELM}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"helm {HELM} could not be built: {done.stderr.strip().splitlines()[-1:]}")
    return helm


def run_helm(helm, *arguments):
    return subprocess.run([helm, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def lint(helm, values):
    done = run_helm(helm, "lint", "--strict", "--kube-version", KUBERNETES[0] + ".0", "-f", values, CHART)
    if done.returncode != 0:
        raise Failed(*done.stdout.splitlines(), *done.stderr.splitlines())


def template(helm, values):
    arguments = ["template", "release", CHART, "--namespace", "apm", "-f", values]
    done = run_helm(helm, *arguments, "--kube-version", KUBERNETES[0] + ".0")
    if done.returncode != 0:
        raise Failed(*done.stderr.splitlines())
    return load_yaml(done.stdout)


def refused(helm, values):
    done = run_helm(helm, "template", "release", CHART, "-f", values, "--kube-version", KUBERNETES[0] + ".0")
    if done.returncode == 0:
        raise Failed(f"helm accepted {values.name}")
    if "schema" not in done.stderr:
        raise Failed("refused, but not by the schema:", *done.stderr.splitlines())


# -- what operators look at


def rules(documents):
    (document,) = documents[DEPLOY / "prometheus" / "rules.yaml"]
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard():
    return json.loads((DEPLOY / "grafana" / "hotspan.json").read_text())["panels"]


def alerts(documents):
    problems, seen = [], set()
    for rule in rules(documents):
        name = rule["alert"]
        if name in seen:
            problems.append(f"{name} is there twice")
        seen.add(name)
        if rule["labels"].get("severity") not in ("warning", "critical"):
            problems.append(f"{name}: severity {rule['labels'].get('severity')}")
        problems += [f"{name}: no {key}" for key in ("summary", "description") if not rule["annotations"].get(key)]
        if rule["expr"].count("(") != rule["expr"].count(")"):
            problems.append(f"{name}: parentheses in {rule['expr']}")
    tell(problems)


def panels():
    problems, places, ids = [], {}, set()
    for panel in dashboard():
        if panel["id"] in ids:
            problems.append(f"{panel['title']}: its id is taken")
        ids.add(panel["id"])
        at = panel["gridPos"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            other = places.setdefault(cell, panel["title"])
            if other != panel["title"]:
                problems.append(f"{panel['title']} lies over {other}")
                break
        problems += [f"{panel['title']}: no expression" for t in panel.get("targets", []) if not t["expr"]]
    tell(problems)


def metrics(binary, documents):
    """Starts a server, and looks in its answer for each name, and each label with it, of the rules and panels."""
    expressions = {f"alert {rule['alert']}": rule["expr"] for rule in rules(documents)}
    for panel in dashboard():
        for target in panel.get("targets", []):
            expressions[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    text = served(binary)
    families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    labels = {}
    for name, inside in re.findall(r"^(hotspan_\w+)(?:\{([^}]*)\})? ", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', inside))
    problems = []
    for where, expression in expressions.items():
        for name, inside in re.findall(r"\b(hotspan_\w+)(?:\{([^}]*)\})?", expression):
            if name not in labels and name not in families:
                problems.append(f"{where}: no metric {name}")
            # Families without a sample yet have no labels to look at; `instance` and `job` come from the scrape.
            asked = set(re.findall(r"(\w+)\s*[=!]", inside)) - {"instance", "job"}
            problems += [f"{where}: {name} has no label {label}" for label in asked - labels.get(name, asked)]
    tell(problems)


def served(binary):
    """The answer of /metrics of a server that has taken one export."""
    with tempfile.TemporaryDirectory(prefix="hotspan-check-") as folder:
        ready = pathlib.Path(folder) / "ready.json"
        command = [binary, "serve", "--data", f"{folder}/data", "--ready-file", ready, "--log", "warn"]
        command += [f"--{name}=127.0.0.1:0" for name in ("otlp-grpc", "otlp-http", "listen")]
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("HOTSPAN_", "OTEL_"))}
        server = subprocess.Popen(command, env=plain)
        try:
            deadline = time.monotonic() + 120
            while not ready.exists():
                if server.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"'{binary} serve' does not become ready")
                time.sleep(0.05)
            addresses = json.loads(ready.read_text())
            span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "check", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
            body = {"resourceSpans": [{"scopeSpans": [{"spans": [span, {"name": "without ids"}]}]}]}
            request = urllib.request.Request(
                f"http://{addresses['otlp_http']}/v1/traces", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request).read()
            return urllib.request.urlopen(f"http://{addresses['listen']}/metrics").read().decode()
        finally:
            server.terminate()
            server.wait()


# -- the program's own names


def names(binary, documents):
    """Looks for hotspan's flags, variables and TOML settings in every file, and for each in what the program says."""
    answer = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True)
    if answer.returncode != 0:
        raise Failed(f"'{binary} serve --help' ended with {answer.returncode}", answer.stderr.strip())
    flags = set(re.findall(r"--[a-z][a-z-]+", answer.stdout))
    variables = set(re.findall(r"\bHOTSPAN_[A-Z_]+\b", answer.stdout))
    problems = []
    for path in sorted(DEPLOY.rglob("*")):
        if not path.is_file() or path == pathlib.Path(__file__).resolve() or "__pycache__" in path.parts:
            continue
        text, name = path.read_text(), path.relative_to(DEPLOY)
        own = {"HOTSPAN_ENDPOINT", "HOTSPAN_TOKEN"} if path.parent.name == "otelcol" else {"HOTSPAN_TOKEN"}
        for variable in sorted(set(re.findall(r"\bHOTSPAN_[A-Z_]+\b", text)) - variables - own):
            problems.append(f"{name}: the program knows no variable {variable}")
        used = {flag for line in re.findall(r"hotspan serve([^\n#]*)", text) for flag in re.findall(r"--[a-z-]+", line)}
        problems += [f"{name}: 'hotspan serve' has no flag {flag}" for flag in sorted(used - flags)]
    problems += settings(binary, documents)
    tell(problems)


def settings(binary, documents):
    """Each TOML text of deploy/, given to `hotspan config`, which refuses names it does not know."""
    texts = {"systemd/hotspan.toml": (DEPLOY / "systemd" / "hotspan.toml").read_text()}
    for path, found in documents.items():
        for document in found:
            if isinstance(document, dict) and document.get("kind") == "ConfigMap":
                texts[str(path.relative_to(DEPLOY))] = document["data"]["hotspan.toml"]
    problems = []
    for name, text in texts.items():
        plain = re.sub(r"^# ?(?=[a-z-]+ = )", "", text, flags=re.MULTILINE)
        file = CACHE / "deploy-check" / "hotspan.toml"
        file.write_text(plain)
        environment = os.environ | {"HOTSPAN_TOKENS": "check admin * 0123456789abcdef"}
        done = subprocess.run([binary, "config", "--config", file], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            problems.append(f"{name}: {done.stderr.strip()}")
    return problems


if __name__ == "__main__":
    main()
