"""conf/prometheus-alerts.yml and conf/grafana-dashboard.json, with Prometheus itself: its checks of
rules and metrics, the alerts that series raise, and the queries of the dashboard on what it has
scraped from a service. It is fetched where it is not installed, without installing it."""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
from live import address, write, write_failed
from service import PATIENCE, session
from support import BUILD, ROOT

ALERTS = ROOT / "conf/prometheus-alerts.yml"
DASHBOARD = json.loads((ROOT / "conf/grafana-dashboard.json").read_text())


@pytest.fixture(scope="module")
def programs():
    """The directory with prometheus and promtool."""
    found = shutil.which("promtool")
    if found and shutil.which("prometheus"):
        return pathlib.Path(found).parent
    directory = (BUILD / "prometheus").resolve()
    if not (directory / "usr/bin/promtool").exists():
        directory.mkdir(parents=True, exist_ok=True)
        for command in ["apt-get", "download", "-qq", "prometheus"], ["sh", "-c", "dpkg-deb -x prometheus_*.deb ."]:
            try:
                done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=100, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"prometheus is not installed and cannot be fetched: {error}")
            if done.returncode:
                pytest.skip(f"prometheus is not installed and cannot be fetched: {done.stderr}")
    return directory / "usr/bin"


@pytest.fixture(scope="module")
def service():
    """With a picked and a failed micrograph."""
    with session("http.listen=127.0.0.1:0") as (running, observer):
        write(running, "good.mrc")
        write_failed(running, "bad.mrc")
        observer.outcomes(2)
        yield running


def host_of(service):
    return "{}:{}".format(*address(service))


def promtool(programs, *arguments, **options):
    done = subprocess.run([programs / "promtool", *arguments], capture_output=True, text=True, timeout=60,
                          check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_rules(programs):
    assert "9 rules found" in promtool(programs, "check", "rules", ALERTS)
    promtool(programs, "test", "rules", ROOT / "tests/integration/prometheus_alerts.yml")


def test_metrics_follow_the_conventions(programs, service):
    with urllib.request.urlopen(f"http://{host_of(service)}/metrics", timeout=PATIENCE) as answer:
        metrics = answer.read().decode()
    assert promtool(programs, "check", "metrics", input=metrics) == ""
    names = set(re.findall(r"^# TYPE (\S+)", metrics, re.M))
    for text in ALERTS.read_text(), json.dumps(DASHBOARD):
        used = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bpickstream_[a-z_]+", text)}
        assert len(used) > 5 and used <= names, used - names


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def test_queries_of_the_dashboard(programs, service, tmp_path):
    """All are answered with numbers; each rule is loaded and healthy."""
    where = f"127.0.0.1:{free_port()}"
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}\n"
        f"scrape_configs: [{{job_name: pickstream, static_configs: [{{targets: ['{host_of(service)}']}}]}}]\n"
        f"rule_files: ['{ALERTS}']\n")
    with (tmp_path / "log").open("wb") as log:
        prometheus = subprocess.Popen(
            [programs / "prometheus", "--config.file=prometheus.yml", f"--web.listen-address={where}",
             "--storage.tsdb.path=data"], cwd=tmp_path, stdout=log, stderr=log)

    def api(path, **parameters):
        url = f"http://{where}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)["data"]

    def query(expression):
        expression = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
        return api("query", query=expression)["result"]

    def wait(condition):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if result := condition():
                    return result
            except OSError:
                pass  # it does not listen yet
            assert prometheus.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)

    try:
        wait(lambda: query("count_over_time(pickstream_published_total[1m]) > 2"))
        assert query("pickstream_published_total")[0]["value"][1] == "2"
        expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
        assert len(expressions) > 12
        for expression in expressions:
            result = query(expression)
            # What is divided by a rate is empty while nothing comes.
            assert result or "> 0)" in expression, expression
        rules = wait(lambda: [rules for rules in [api("rules")["groups"][0]["rules"]]
                              if all(rule["health"] == "ok" for rule in rules)])[0]
        assert len(rules) == 9
        assert {rule["name"] for rule in rules if rule["state"] != "inactive"} == set()
    finally:
        prometheus.terminate()
        prometheus.wait(PATIENCE)
