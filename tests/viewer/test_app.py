import hashlib
import re
from base64 import b64encode

import pytest
from starlette.testclient import TestClient

from gtn_nas.errors import ConfigError
from gtn_nas.results.store import RunStore
from gtn_nas.viewer.access import LEAST_CHARACTERS, Names, is_loopback, token_for
from gtn_nas.viewer.app import make_app

from ..report.runs import EVIL, write_hostile_run
from ..results.samples import record, write_run

ODD = ("localhost/sign-in?", "evil.example@localhost", "localhost#")
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - opens nothing


@pytest.fixture
def client(runs):
    return TestClient(make_app(runs, "127.0.0.1", 8080, None), "http://127.0.0.1:8080")


@pytest.fixture
def guarded(runs):
    app = make_app(runs, "0.0.0.0", 8080, TOKEN)  # noqa: S104 - nothing listens in a test
    return TestClient(app, "http://192.0.2.1:8080", follow_redirects=False)


def test_the_index_links_to_every_run(client):
    page = client.get("/")
    assert page.status_code == 200
    assert 'href="runs/first/"' in page.text
    assert client.get("/runs/first/").status_code == 200


def test_data_have_a_tag_and_are_sent_again_only_when_it_changes(client, folder):
    first = client.get("/runs/first/data.json")
    assert first.json()["table"]["count"] == 3
    known = {"If-None-Match": first.headers["etag"]}
    assert client.get("/runs/first/data.json", headers=known).status_code == 304
    with RunStore.open(folder / "first") as store:
        store.append_candidates([record(3)])
    again = client.get("/runs/first/data.json", headers=known)
    assert (again.status_code, again.json()["table"]["count"]) == (200, 4)


@pytest.mark.parametrize("path", ["/runs/none/", "/runs/empty/", "/runs/notes.txt/", "/runs", "/x"])
def test_what_is_not_there_is_not_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/runs/..%2f..%2fetc/",
        "/runs/first%2Fdata.json",
        "/runs/..%5c/",
        "/runs/%00/",
        "/runs/a\\b/",
    ],
)
def test_encoded_slashes_are_refused(client, path):
    assert client.get(path).status_code == 400


def test_dots_lead_nowhere(client):
    assert client.get("/runs/%2e%2e/").status_code == 404
    assert client.get("/runs/%2e%2e/first/").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/runs/first/", "/runs/first/data.json"])
def test_it_only_shows(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_head_is_a_get_without_a_body(client):
    answer = client.head("/runs/first/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "", "[", *ODD]
)
def test_other_names_than_its_own_are_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_this_machines_names_are_known_with_any_port(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_server_for_others_knows_addresses_and_its_own_name_but_no_others():
    names = Names("nas.example")
    known = ("nas.example", "NAS.example:1", "10.0.0.7", "[2001:db8::1]:80", "localhost")
    assert all(names.knows(host) for host in known)
    assert not names.knows("evil.example")
    assert not names.knows("nas.example.evil.example")


def test_every_answer_has_safe_headers(client, guarded):
    answers = [client.get("/"), client.get("/none"), client.post("/"), guarded.get("/")]
    answers += [client.get("/", headers={"Host": "evil.example"}), client.get("/runs/first/")]
    for answer in answers:
        headers = answer.headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_the_policy_allows_the_pages_scripts_and_styles_by_their_hashes(client):
    page = client.get("/runs/first/")
    rules = page.headers["content-security-policy"]
    inline = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", page.text, re.DOTALL)
    assert len(inline) == 5
    for text in inline:
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules


def test_without_the_token_there_is_only_a_form(guarded):
    for path in ("/", "/runs/first/", "/runs/first/data.json", "/none"):
        answer = guarded.get(path)
        assert answer.status_code == 401
        assert "first/" not in answer.text.replace("/runs/first/", "")
        assert 'action="/sign-in"' in answer.text


def test_the_token_as_a_header_opens(guarded):
    def status(value: str) -> int:
        return guarded.get("/", headers={"Authorization": value}).status_code

    assert status(f"Bearer {TOKEN}") == status(f"bearer {TOKEN}") == 200
    assert {status(v) for v in ("Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, "")} == {401}
    assert guarded.get("/", params={"token": TOKEN}).status_code == 401


def test_the_form_sets_a_cookie_that_opens_and_does_not_tell_the_token(guarded):
    answer = guarded.post("/sign-in", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/").status_code == 200
    guarded.cookies.clear()
    guarded.cookies.set("gtn_nas_8080", TOKEN)
    assert guarded.get("/").status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"token=", b"token=wrong", b"token=%ff", b"\xff\xfe", b"tok"]
)
def test_another_token_opens_nothing(guarded, body):
    answer = guarded.post("/sign-in", content=body)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "not the token" in answer.text


def test_the_form_takes_no_long_answers_and_none_from_other_sites(guarded):
    assert guarded.post("/sign-in", content=b"token=" + b"x" * 5000).status_code == 413
    sent = {"Sec-Fetch-Site": "cross-site"}
    assert guarded.post("/sign-in", data={"token": TOKEN}, headers=sent).status_code == 403
    assert guarded.put("/sign-in").status_code == 405
    assert guarded.get("/sign-in").status_code == 200


def test_what_runs_hold_stays_text(client, folder):
    write_hostile_run(folder / "<b>bold & 100%")
    page = client.get("/")
    assert EVIL not in page.text
    assert "<b>bold" not in page.text
    link = re.search(r'href="(runs/[^"]*bold[^"]*)"', page.text)
    assert link is not None
    assert EVIL not in client.get(f"/{link[1]}").text


def test_a_damaged_run_does_not_take_the_others_along(client, folder):
    write_run(folder / "broken", [record(0)], config="{")
    page = client.get("/")
    assert page.status_code == 200
    assert 'href="runs/first/"' in page.text
    assert "config.yaml" in page.text
    assert client.get("/runs/broken/").status_code == 503


def test_tokens(monkeypatch):
    monkeypatch.delenv("GTN_NAS_TOKEN", raising=False)
    assert token_for("127.0.0.1") == token_for("localhost") == token_for("::1") == (None, False)
    one, other = token_for("0.0.0.0"), token_for("10.0.0.1")  # noqa: S104
    assert one[1]
    assert other[1]
    assert one[0] != other[0]
    monkeypatch.setenv("GTN_NAS_TOKEN", TOKEN)
    assert token_for("127.0.0.1") == token_for("::") == (TOKEN, False)
    monkeypatch.setenv("GTN_NAS_TOKEN", "x" * (LEAST_CHARACTERS - 1))
    with pytest.raises(ConfigError, match="GTN_NAS_TOKEN"):
        token_for("127.0.0.1")


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "localhost.evil", "")))  # noqa: S104
