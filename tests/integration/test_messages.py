"""The schema of messages, the golden ones, the manual page and what a service really sends agree."""

import json
import re
import shutil
import stat

import jsonschema
import pytest
import zmq
from service import Service, Subscriber
from support import ROOT, run

SCHEMA = json.loads((ROOT / "include/messages.schema.json").read_text())
GOLDEN = sorted((ROOT / "tests/golden/messages").glob("*.json"))
PAGE = (ROOT / "src/man/pickstream-messages.7").read_text()
validator = jsonschema.Draft7Validator(SCHEMA)


def check(header):
    """Against its own type first, whose errors can be read."""
    jsonschema.Draft7Validator({"$ref": f"#/definitions/{header['type']}",
                                "definitions": SCHEMA["definitions"]}).validate(header)
    validator.validate(header)


def paths(value, prefix=()):
    """Every key in it, as a path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*prefix, key)
            yield from paths(item, (*prefix, key))
    elif isinstance(value, list):
        for item in value[:1]:
            yield from paths(item, prefix)


def without(header, path):
    copy = json.loads(json.dumps(header))
    inner = copy
    for key in path[:-1]:
        inner = inner[key][0] if isinstance(inner[key], list) else inner[key]
    del inner[path[-1]]
    return copy


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_messages_have_the_schema(path):
    header = json.loads(path.read_text())
    if header["type"] == "picks":
        header["picker"]["version"] = "0"
        size = path.with_suffix(".f4").stat().st_size
        assert size == 16 * header["result"]["count"] == 16 * header["arrays"][0]["shape"][0]
    check(header)


def test_the_schema_needs_every_key():
    for name in "picked", "status":
        header = json.loads((ROOT / f"tests/golden/messages/{name}.json").read_text())
        for path in paths(header):
            if path[0] == "metrics" and len(path) > 1:
                continue
            with pytest.raises(jsonschema.ValidationError):
                validator.validate(without(header, path))
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(header | {"surplus": 1})


def keys_of(schema):
    """All keys that a schema knows, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for inner in schema.values():
            yield from keys_of(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from keys_of(inner)


def test_the_manual_page_has_every_key():
    words = set(re.findall(r"[a-z0-9_]+", PAGE))
    keys = set(keys_of(SCHEMA["definitions"]))
    assert len(keys) > 60 and keys <= words, keys - words


def test_what_a_service_sends_has_the_schema(scene):
    """P38: JSON and arrays that it describes, nothing to be executed"""
    with Service(diameter=f"{scene.diameter}px") as service:
        subscriber = Subscriber(service).connected()
        shutil.copy(scene.path, service.data / "good.mrc")
        (service.data / "bad.mrc").write_bytes(b"no micrograph" * 400)
        by_name = {outcome.name: outcome for outcome in subscriber.outcomes(2)}
        assert by_name["good.mrc"].status == "picked"
        assert by_name["bad.mrc"].status == "failed"
        for outcome in by_name.values():
            check(outcome.header)
        check(subscriber.status(lambda status: status["last_seq"] == 2))
        for request, kind in [({"request": "hello"}, "hello"),
                              ({"request": "status"}, "status"),
                              ({"request": "since", "seq": 2}, "end"),
                              ({"request": "retry"}, "error"), ({"request": "?"}, "error")]:
            [answer] = subscriber.ask(**request)
            answer = json.loads(answer)
            assert answer["type"] == kind
            check(answer)
        assert subscriber.ask(request="micrograph", name="good.mrc") \
            == by_name["good.mrc"].frames


# ---- keys ----------------------------------------------------------------------------------------

def key_in(path):
    """The one line of a file that is no comment."""
    [key] = [line for line in path.read_text().splitlines() if not line.startswith("# ")]
    return key.encode()


def test_keygen_writes_a_pair(tmp_path):
    done = run("keygen", tmp_path / "keys")
    secret, public = tmp_path / "keys/curve.key", tmp_path / "keys/curve.pub"
    assert str(secret) in done.stdout and key_in(secret).decode() not in done.stdout
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert zmq.curve_public(key_in(secret)) == key_in(public)
    run("keygen", tmp_path)
    assert key_in(tmp_path / "curve.key") != key_in(secret)


@pytest.mark.parametrize("name", ["curve.key", "curve.pub"])
def test_keygen_overwrites_nothing(tmp_path, name):
    (tmp_path / name).write_text("precious")
    done = run("keygen", tmp_path, status=1)
    assert done.stderr == (f"pickstream keygen: {tmp_path}/{name}: is there already; "
                           "nothing was written\n")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_keygen_says_what_is_wrong(tmp_path):
    assert "one directory expected" in run("keygen", status=2).stderr
    (tmp_path / "file").touch()
    assert "Not a directory" in run("keygen", tmp_path / "file", status=1).stderr
    assert "No such file" in run("keygen", tmp_path / "a/b", status=1).stderr
