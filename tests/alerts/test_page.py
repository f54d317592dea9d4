"""The HTML page of alerts, as a real browser shows it."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import cast

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Dialog, Page, Request, expect

from sigma_stellar_aws.alerts.page import write_html
from sigma_stellar_aws.base.json_types import Json, JsonObject
from tests.support.browser import chromium
from tests.support.pages import data_of

FIRST = datetime(2026, 11, 9, tzinfo=timezone.utc)
ABOUT: JsonObject = {
    "searched": "tests/samples",
    "since": None,
    "until": None,
    "records": 415,
    "events": 126,
    "rules": 29,
    "version": "0.1.0",
    "problems": [],
}
DESKTOP = (1280, 900)
PHONE = (360, 740)
HOSTILE = {
    "script": "</script><script>alert(1)</script>",
    "comment": "<!--<script>alert(1)",
    "element": "<img src=https://example.com/x onerror=alert(1)>",
    "attribute": "\"'><svg onload=alert(1)>",
    "link": "javascript:alert(1)",
    "address": "https://example.com/payload",
    "template": "{{data}} {{script}} ${alert(1)} &lt;b&gt; &amp;",
    "lines": "a\u2028b\u2029c\r\nd",
    "direction": "user\u202egnp.exe\u2066",
    "nothing": "a\x00b\x1b[31m\u200b\ufeff",
    "half": "a\ud800b\udfff",
    "prototype": "__proto__",
    "long": "x" * 20_000,
    "wide": "W\u0301\u0302\u0303" * 60,
}
SHOWN = {
    **HOSTILE,
    "lines": "aU+2028bU+2029cU+000DU+000Ad",
    "direction": "userU+202Egnp.exeU+2066",
    "nothing": "aU+0000bU+001B[31mU+200BU+FEFF",
    "half": "aU+D800bU+DFFF",
    "long": "x" * 4000 + "… (16,000 more characters)",
}

Open = Callable[..., Page]


def iso(hours: float) -> str:
    """The time so many hours after the first."""
    return f"{FIRST + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def alert(number: int = 0, **changes: Json) -> JsonObject:
    """An alert as ``alert_json`` writes it, of one event at the hour of its number, with some keys changed."""
    made: JsonObject = {
        "id": f"{number:032x}",
        "name": "aws_malicious_activity",
        "display_name": "Potentially Malicious AWS Activity",
        "severity": 50,
        "rule": {"id": "r1", "title": "Trail Stopped", "author": "Ann Author"},
        "tactics": [{"id": "TA0112", "name": "Defense Impairment"}],
        "techniques": [{"id": "T1685.002", "name": "Disable or Modify Cloud Log"}],
        "first_time": iso(number),
        "last_time": iso(number),
        "event_count": 1,
        "suppression": {"window": "24h", "key": {"recipientAccountId": "123456789012", "userIdentity.arn": None}},
        "events": [{"id": f"event-{number}", "place": "trail.json.gz"}],
        "event_names": ["cloudtrail.amazonaws.com StopLogging"],
        "accounts": ["123456789012"],
        "regions": ["eu-west-1"],
        "actors": ["alice"],
        "source_addresses": ["198.51.100.23"],
    }
    return {**made, **changes}


def mixed() -> list[JsonObject]:
    """Six alerts: three rules, severities of all bands, two accounts, three actors, one of them without a time."""
    keys: JsonObject = {"id": "r2", "title": "Key Deleted", "author": "Bob Builder"}
    login: JsonObject = {"id": "r3", "title": "Odd Login", "author": ""}
    impact: list[Json] = [{"id": "TA0040", "name": "Impact"}]
    destruction: list[Json] = [{"id": "T1485", "name": "Data Destruction"}]
    return [
        alert(0, severity=75, event_count=3, last_time=iso(5)),
        alert(2, actors=["bob"], accounts=["111122223333"]),
        alert(4, actors=["alice", "carol"]),
        alert(10, rule=keys, severity=25, tactics=impact, techniques=destruction, event_count=40),
        alert(30, rule=keys, severity=49, tactics=impact, techniques=destruction, source_addresses=["192.0.2.44"]),
        alert(5, rule=login, severity=24, tactics=[], techniques=[], actors=[], first_time=None, last_time=None),
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser that all tests of this module share."""
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """A function that shows alerts as a file in the browser; what the browser finds wrong with it fails the test."""
    wrong: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def refuse(request: Request) -> None:
        if request.url != (tmp_path / "report.html").as_uri():
            wrong.append(f"request: {request.url}")

    def shown(alerts: list[JsonObject], size: tuple[int, int] = DESKTOP, dark: bool = False, **changes: Json) -> Page:
        file = tmp_path / "report.html"
        write_html(alerts, file, about={**ABOUT, **changes})
        page = browser.new_page(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
        )
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.on("dialog", dismiss)
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("popup", lambda popup: wrong.append(f"popup: {popup.url}"))
        page.on("request", refuse)
        page.goto(file.as_uri())
        expect(page.locator("#unfinished")).to_be_hidden()
        return page

    yield shown
    for context in browser.contexts:
        context.close()
    assert wrong == []


def rows(page: Page) -> list[str]:
    """The names in the rows of the alerts, in their order: actors or titles of rules, as they are grouped."""
    return page.locator("#list summary .what").all_inner_texts()


def groups(page: Page) -> list[tuple[str, str]]:
    """Titles of the groups and what they sum up."""
    headings = page.locator("#list header")
    return list(zip(headings.locator("h3").all_inner_texts(), headings.locator(".sum").all_inner_texts(), strict=True))


def unfold(page: Page) -> Page:
    """Open what is folded above the alerts."""
    page.evaluate("document.querySelectorAll('#matrix, #overview, #summary').forEach((part) => { part.open = true; })")
    return page


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return cast(int, wider)


def test_page_holds_the_alerts_as_they_are() -> None:
    """The page is valid UTF-8, and the data in it is what was given, hostile texts and half surrogates included."""
    alerts = [
        alert(number, actors=[text], rule={"id": text, "title": text, "author": text})
        for number, text in enumerate(HOSTILE.values())
    ]
    stream = io.BytesIO()
    write_html(alerts, stream, about={**ABOUT, "searched": HOSTILE["script"], "problems": [HOSTILE["half"]]})
    stream.getvalue().decode("utf-8", "strict")
    about: JsonObject = {**ABOUT, "searched": HOSTILE["script"], "problems": [HOSTILE["half"]]}
    assert data_of(stream.getvalue()) == (alerts, about)


def test_about_is_read_after_the_alerts(tmp_path: Path) -> None:
    """What is found while the alerts are read stands in the page."""
    about = dict(ABOUT)

    def found() -> Iterator[JsonObject]:
        yield alert()
        about["problems"] = ["the last file is broken"]

    write_html(found(), tmp_path / "report.html", about=about)
    assert data_of((tmp_path / "report.html").read_bytes())[1] == about


def test_a_search_that_breaks_off_leaves_no_page(tmp_path: Path) -> None:
    """Where the alerts end in an error, an older page stays as it was, and no new one is made."""
    old = tmp_path / "old.html"
    old.write_text("old")

    def broken() -> Iterator[JsonObject]:
        yield alert()
        raise ConnectionError

    for file in (old, tmp_path / "new.html"):
        with pytest.raises(ConnectionError):
            write_html(broken(), file, about=ABOUT)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.html", "old")]


def test_what_attack_does_not_know(open_page: Open) -> None:
    """A technique without a name and a tactic without an id are shown by what they have, and can be chosen."""
    techniques: list[Json] = [{"id": "T9999", "name": None, "url": None}]
    tactics: list[Json] = [{"id": None, "name": "invented", "url": None}]
    page = unfold(open_page([alert(0, techniques=techniques, tactics=tactics), alert(1)]))
    page.locator("#attack button", has_text="T9999").click()
    assert rows(page) == ["alice"]
    page.locator("#list summary").click()
    labels = page.locator("#list details[open] dd", has_text="T9999").locator("li")
    expect(labels).to_have_text(["invented", "T9999"], use_inner_text=True)


def test_where_addresses_are(open_page: Open) -> None:
    """A row has the place in short, an opened alert the whole of each address; without databases there is neither."""
    location: JsonObject = {
        "address": "198.51.100.23",
        "country": "DE",
        "country_name": "Germany",
        "city": "Berlin",
        "network": "198.51.100.0/24",
        "asn": 64500,
        "organization": HOSTILE["element"],
    }
    other: JsonObject = {**location, "address": "2001:db8::1", "country": "", "country_name": "", "city": ""}
    addresses: list[Json] = ["198.51.100.23", "2001:db8::1", "AWS Internal"]
    page = open_page([alert(0, source_addresses=addresses, source_locations=[location, other]), alert(1)])
    rows = page.locator("#list summary .source")
    assert sorted(rows.all_inner_texts()) == ["198.51.100.23", "198.51.100.23 +2\nDE Berlin"]
    page.locator("#list summary", has_text="DE Berlin").click()
    items = page.locator("#list details[open] dd", has_text="AWS Internal").locator("li")
    network = f"AS64500 {HOSTILE['element']}"
    places = [f"198.51.100.23 Berlin, Germany · {network}", f"2001:db8::1 {network}", "AWS Internal"]
    expect(items).to_have_text(places, use_inner_text=True)
    page.locator("#search").fill("berlin")
    expect(page.locator("#list summary")).to_have_count(1)


def test_hostile_values_are_only_texts(open_page: Open) -> None:
    """Hostile texts in every field are shown literally, the unseen by its code; they run, load and widen nothing."""
    kinds = ("event_names", "accounts", "regions", "actors", "source_addresses")
    alerts = [
        alert(
            number,
            id=f"{name} {text}",
            rule={"id": text, "title": text, "author": text},
            tactics=[{"id": text, "name": text}],
            techniques=[{"id": text, "name": text}],
            suppression={"window": text, "key": {text: text}},
            events=[{"id": text, "place": text}],
            **{kind: cast(list[Json], [text]) for kind in kinds},
        )
        for number, (name, text) in enumerate(HOSTILE.items())
    ]
    page = open_page(alerts, PHONE, searched=HOSTILE["script"], problems=list(HOSTILE.values()))
    assert page.locator("#problem-list li").all_inner_texts() == list(SHOWN.values())
    for grouping in ("By actor", "Not grouped", "By rule"):
        page.get_by_role("button", name=grouping).click()
    for number, text in enumerate(SHOWN.values()):
        opened = page.locator("#list details", has_text=f"{iso(number)[:10]} {iso(number)[11:19]}")
        opened.locator("summary").click()
        expect(opened.locator(".details")).to_be_visible()
        assert opened.locator(".pivot").all_text_contents() == [text] * 5
        assert opened.locator(".key dt, .key dd, td").all_text_contents() == [text] * 4
        # It is searched for as it is, not as it is shown.
        opened.locator(".pivot").first.click()
        expect(opened).to_be_visible()
        page.get_by_role("button", name="Remove filter: Search").click()
    assert overflow(page) == 0
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    assert overflow(page) == 0
    assert page.locator("a[href]:not(.skip), img, iframe, svg, form").count() == 0


def test_nothing_but_its_own_script_runs(browser: Browser, tmp_path: Path) -> None:
    """The policy of the page stops markup, scripts and requests, should any ever get into it."""
    write_html([alert()], tmp_path / "report.html", about=ABOUT)
    with browser.new_context() as context:
        requests: list[str] = []
        page = context.new_page()
        page.goto((tmp_path / "report.html").as_uri())
        page.on("request", lambda request: requests.append(request.url))
        stopped = page.evaluate(
            """async () => {
                const seen = [];
                document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
                const attempts = {
                    markup: () => { document.body.innerHTML = "<b>"; },
                    script: () => { document.createElement("script").textContent = "alert(1)"; },
                    handler: () => document.body.setAttribute("onclick", "alert(1)"),
                    request: () => fetch("https://example.com/"),
                    image: () => { document.body.append(new Image()).src = "https://example.com/x.png"; },
                };
                for (const [name, attempt] of Object.entries(attempts)) {
                    try { await attempt(); } catch { seen.push(name); }
                }
                return seen;
            }"""
        )
    assert {"markup", "script", "handler", "request", "image"} <= set(stopped)
    assert requests == []


def test_headline_counts_the_whole_report(open_page: Open) -> None:
    """Alerts, events, rules, actors, accounts and addresses are counted, each once; a full list may have had more."""
    page = open_page(mixed())
    numbers = page.locator("#headline > div").all_inner_texts()
    assert [re.sub(r"\s+", " ", text) for text in numbers] == [
        "Alerts 6",
        "Events in them 47",
        "Rules that matched 3 of 29",
        "Actors 3",
        "Accounts 2",
        "Source addresses 2",
    ]
    page = open_page([alert(actors=[f"user{n}" for n in range(10)])])
    expect(page.locator("#headline > div", has_text="Actors").locator("dd")).to_have_text("10+")


def test_headline_follows_the_filters(open_page: Open) -> None:
    """The numbers are those of the alerts that are shown, beside those of all; what they count is explained."""
    page = open_page(mixed())
    page.locator("#search").fill("Key Deleted")
    numbers = page.locator("#headline > div").all_inner_texts()
    assert [re.sub(r"\s+", " ", text) for text in numbers][:4] == [
        "Alerts 2 of 6",
        "Events in them 41 of 47",
        "Rules that matched 1 of 29",
        "Actors 1",
    ]
    expect(page.locator("#explained")).to_contain_text("A rule alerts once in 24h for the same key")


GUIDE: JsonObject = {
    "description": "Logging was stopped.",
    "false_positives": ["A planned change"],
    "references": ["https://example.com/stopped", "javascript:alert(1)"],
    "triage": ["Look at the caller.", "Start it again."],
}
EVENT: JsonObject = {
    "time": "2026-11-09T00:00:00Z",
    "source": "cloudtrail.amazonaws.com",
    "name": "StopLogging",
    "error_code": "AccessDenied",
    "error_message": "not you",
    "user_agent": "aws-cli/2",
    "resource": "arn:aws:cloudtrail:eu-west-1:123456789012:trail/main",
    "parameters": [{"field": "name", "values": ["main", "other"]}],
    "matched": [{"field": "eventName", "values": ["StopLogging"]}],
    "record": {"eventName": "StopLogging", "requestParameters_name": ["main", HOSTILE["script"]]},
}


def told(number: int = 0, **changes: Json) -> JsonObject:
    """An alert that says why and what."""
    rule: JsonObject = {"id": "r1", "title": "Trail Stopped", "author": "Ann Author", **GUIDE}
    arn = "arn:aws:iam::123456789012:user/alice"
    technique: JsonObject = {"id": "T1685", "name": "Disable", "url": "https://attack.mitre.org/techniques/T1685/"}
    made = alert(number, rule=rule, first_event=EVENT, actors=[arn], actor_names=["alice"], techniques=[technique])
    return {**made, "failed_count": 1, "error_codes": ["AccessDenied"], **changes}


def test_an_alert_says_why_and_what(open_page: Open) -> None:
    """An opened alert tells what was done to what, by whom, and how it ended; why that matters, and what to do."""
    page = open_page([told()])
    summary = page.locator("#list summary").first
    expect(summary).to_contain_text("alice")
    expect(summary).to_contain_text("trail/main AccessDenied")
    summary.click()
    details = page.locator(".details")
    for text in (
        "arn:aws:cloudtrail:eu-west-1:123456789012:trail/main",
        "AccessDenied: not you",
        "aws-cli/2",
        "main, other",
        "Logging was stopped.",
        "A planned change",
        "Start it again.",
    ):
        expect(details).to_contain_text(text)
    assert details.locator(".steps li").all_inner_texts() == GUIDE["triage"]
    assert details.locator("h5").all_inner_texts()[-4:-1] == ["Why the rule matches", "Harmless if", "What to do next"]
    # Only the web is linked to.
    links = details.locator("a")
    assert [each.get_attribute("href") for each in links.all()] == [
        "https://attack.mitre.org/techniques/T1685/",
        "https://example.com/stopped",
    ]
    assert {each.get_attribute("rel") for each in links.all()} == {"noopener noreferrer"}
    expect(details.locator(".record dd")).to_have_count(0)
    details.locator(".record > summary").click()
    expect(details.locator(".record dd").last).to_have_text(f"main, {HOSTILE['script']}")
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.locator("#told")).to_have_text("Copied the alert as JSON.")
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == told()


def test_all_that_is_shown_is_found(open_page: Open) -> None:
    """A search finds what rows show, and what only an opened alert does; not the words that explain a rule."""
    page = open_page([told(0), alert(1)])
    for text, count in {
        "198.51.100.23": 2,
        "ann author": 2,
        "disable or modify": 1,
        "trail/main": 1,
        "aws-cli/2": 1,
        "not you": 1,
        HOSTILE["script"]: 1,
        "event-1": 1,
        "planned change": 0,
    }.items():
        page.locator("#search").fill(text)
        expect(page.locator("#result")).to_contain_text("All 2 alerts" if count == 2 else f"{count} of 2 alerts")


@pytest.mark.parametrize(
    ("window", "said"),
    [("24h", "A rule alerts once in 24h"), ("0h", "Every event is an alert of each rule that it matches.")],
)
def test_why_there_are_so_many_alerts(open_page: Open, window: str, said: str) -> None:
    """The page says what alerts were suppressed by, and where every event is one."""
    page = open_page([alert(suppression={"window": window, "key": {}})])
    expect(page.locator("#explained")).to_contain_text(said)


def test_what_failed_is_told_apart(open_page: Open) -> None:
    """A failed call is an alarm, and asks another question, only if none of the alert succeeded."""
    page = open_page([told(0), told(1, event_count=2, failed_count=2), told(2, event_count=2, failed_count=1)])
    page.get_by_role("button", name="Not grouped").click()
    texts = []
    for summary in page.locator("#list summary[data-key]").all():
        summary.click()
    for opened in page.locator("#list li > details").all():
        summary = opened.locator("summary").first
        vain = opened.locator(".in-vain").all_inner_texts()
        texts.append((summary.locator(".failed").all_inner_texts(), vain))
    why = "nothing was changed. Ask why it was tried, and whether it succeeded later."
    assert texts == [
        ([], []),
        (["2 of 2 failed: AccessDenied"], [f"All calls failed (AccessDenied): {why}"]),
        (["AccessDenied"], [f"The call failed (AccessDenied): {why}"]),
    ]
    some = page.locator("#list li > details").first
    expect(some.locator("summary").first).to_contain_text("trail/main 1 of 2 failed: AccessDenied")
    expect(some.locator(".details")).to_contain_text("1 of 2 failed: AccessDeniedThe first: AccessDenied: not you")


def test_a_page_stays_small() -> None:
    """What a rule says stands there once, and an event that says nothing new takes a few bytes."""
    sizes = []
    for count in (1000, 2000):
        stream = io.BytesIO()
        write_html((told(number) for number in range(count)), stream, about=ABOUT)
        sizes.append(len(stream.getvalue()))
    assert sizes[1] - sizes[0] < 1000 * 50


def test_events_for_which_there_is_no_room(open_page: Open) -> None:
    """First events are left out once all that is known of the alerts is too long, and an opened alert says so."""
    chance = random.Random(7)
    large: JsonObject = {**EVENT, "record": {"a": chance.randbytes(100_000).hex()}}
    page = open_page([told(number, first_event=large) for number in range(400)])
    page.get_by_role("button", name="Not grouped").click()
    page.locator("#columns").get_by_role("button", name="Time").click()
    page.locator("#list summary").first.click()
    page.locator(".record > summary").click()
    expect(page.locator(".record")).to_contain_text("Not on this page, which would be too large; see --json.")
    page.locator("#columns").get_by_role("button", name="Time").click()
    page.locator("#list summary").first.click()
    page.locator(".record > summary").first.click()
    expect(page.locator(".record dd").first).to_have_text(re.compile("^[0-9a-f]{4000}…"))


def test_what_stands_out(open_page: Open) -> None:
    """The worst rules, and the actors, addresses and accounts with the most alerts, are counted; each leads on."""
    page = unfold(open_page(mixed()))
    lists = [re.sub(r"\s+", " ", text) for text in page.locator("#most-of section").all_inner_texts()]
    assert lists == [
        "Worst rules Trail Stopped 3 Key Deleted 2 Odd Login 1",
        "Actors alice 4 bob 1 carol 1",
        "Source addresses 198.51.100.23 5 192.0.2.44 1",
        "Accounts 123456789012 5 111122223333 1",
    ]
    page.locator("#most-of").get_by_role("button", name="192.0.2.44").click()
    expect(page.locator("#result")).to_contain_text("1 of 6 alerts")


def test_actors_with_one_name_are_told_apart(open_page: Open) -> None:
    """Wherever a name is that of several actors, their accounts stand with it, or else their ARNs."""
    one, two, path = "arn:aws:iam::111122223333:user/", "arn:aws:iam::444455556666:user/", "ops/"
    arns = [f"{one}alice", f"{two}alice", f"{one}bob", f"{one}{path}bob", f"{two}carol"]
    page = unfold(
        open_page([told(n, actors=[arn], actor_names=[arn.rpartition("/")[2]]) for n, arn in enumerate(arns)])
    )
    shown = ["alice · 111122223333", "alice · 444455556666", *arns[2:4], "carol"]
    expect(page.get_by_role("heading", name="What stands out")).to_be_visible()
    found = page.locator("#most-of section").nth(1).get_by_role("button").all_inner_texts()
    assert sorted(re.sub(r"\s*1$", "", text) for text in found) == sorted(shown)
    assert sorted(rows(page)) == sorted(shown)
    page.get_by_role("button", name="By actor").click()
    assert sorted(title for title, _ in groups(page)) == sorted(shown)


def test_one_identity_over_time(open_page: Open) -> None:
    """What one actor did is shown across rules, in order of time, with a line of dots for each rule."""
    other: JsonObject = {"id": "r2", "title": "Key Deleted", "author": "", **GUIDE}
    page = open_page([told(0), told(9, rule=other), told(4), alert(2, actors=["bob"])])
    page.get_by_role("button", name="By actor").click()
    page.locator("#list header").first.get_by_role("button", name="All over time").click()
    expect(page.locator("#actor-title")).to_have_text("alice")
    expect(page.locator("#actor-facts")).to_contain_text("2026-11-09 00:00:00 to 2026-11-09 09:00:00")
    expect(page.locator("#actor-facts")).to_contain_text("3 of 2 rules")
    assert page.locator(".lane-name").all_inner_texts() == ["Trail Stopped", "Key Deleted"]
    assert page.locator(".dot").count() == 3
    times = page.locator("#list summary .time").all_inner_texts()
    assert [text[11:13] for text in times] == ["00", "04", "09"]
    page.get_by_role("button", name="Remove filter: Actor").click()
    expect(page.locator("#actor")).to_be_hidden()
    expect(page.locator("#result")).to_contain_text("All 4 alerts")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_alerts_stand_above_the_fold(open_page: Open, size: tuple[int, int]) -> None:
    """Severity, time, actor and event of the first alert are seen without scrolling."""
    box = open_page([told(number) for number in range(9)], size).locator("#list summary").first.bounding_box()
    assert box
    assert box["y"] + min(box["height"], 80) < size[1]


def test_alerts_are_grouped(open_page: Open) -> None:
    """By rule and by actor, an alert of several actors with each of them, one without an actor too; or not at all."""
    page = open_page(mixed())
    assert groups(page) == [
        ("Trail Stopped", "3 alerts · 5 events"),
        ("Key Deleted", "2 alerts · 41 events"),
        ("Odd Login", "1 alert · 1 event"),
    ]
    assert rows(page) == ["alice", "alice +1", "bob", "alice", "alice", "none"]
    page.get_by_role("button", name="By actor").click()
    assert groups(page) == [
        ("alice", "4 alerts · 45 events"),
        ("carol", "1 alert · 1 event"),
        ("bob", "1 alert · 1 event"),
        ("No actor recorded", "1 alert · 1 event"),
    ]
    page.get_by_role("button", name="Not grouped").click()
    assert groups(page) == []
    assert rows(page) == ["Trail Stopped"] * 3 + ["Key Deleted"] * 2 + ["Odd Login"]


def test_alerts_are_sorted(open_page: Open) -> None:
    """By each column and both ways; what has no value comes last both ways, groups follow what they sum up."""
    page = open_page(mixed())
    page.get_by_role("button", name="Not grouped").click()
    times = page.locator("#list summary .time")

    def hours(column: str) -> list[str]:
        page.locator("#columns").get_by_role("button", name=column).click()
        return [text.split("\n")[0][8:13] for text in times.all_inner_texts()]

    assert hours("Time") == ["10 06", "09 10", "09 04", "09 02", "09 00", ""]
    assert hours("Time") == ["09 00", "09 02", "09 04", "09 10", "10 06", ""]
    assert hours("Events") == ["09 10", "09 00", "10 06", "09 04", "09 02", ""]
    assert hours("Severity") == ["09 00", "09 04", "09 02", "10 06", "09 10", ""]
    assert hours("Severity") == ["", "09 10", "10 06", "09 04", "09 02", "09 00"]
    assert hours("Rule") == ["10 06", "09 10", "", "09 04", "09 02", "09 00"]
    assert hours("Account")[0] == "09 02"
    assert hours("Source")[0] == "10 06"
    page.get_by_role("button", name="By rule").click()
    hours("Events")
    assert [name for name, _ in groups(page)] == ["Key Deleted", "Trail Stopped", "Odd Login"]


FILTERS: tuple[tuple[Callable[[Page], object], int], ...] = (
    (lambda page: page.locator("#severity").get_by_role("button", name="High").click(), 1),
    (lambda page: page.locator("#severity").get_by_role("button", name="Medium").click(), 2),
    (lambda page: page.locator("#severity").get_by_role("button", name="Low").click(), 2),
    (lambda page: page.locator("#severity").get_by_role("button", name="Info").click(), 1),
    (lambda page: page.locator("#rule").select_option("Key Deleted (2)"), 2),
    (lambda page: page.locator("#account").select_option("111122223333 (1)"), 1),
    (lambda page: page.locator("#attack").get_by_role("button", name="Defense Impairment").click(), 3),
    (lambda page: page.locator("#attack").get_by_role("button", name="T1485").click(), 2),
    (lambda page: page.locator("#search").fill("ALICE"), 4),
    (lambda page: page.locator("#search").fill(" alice   carol "), 1),
    (lambda page: page.locator("#search").fill("192.0.2.44"), 1),
    (lambda page: page.locator("#search").fill("event-30"), 1),
    (lambda page: page.locator("#search").fill("no such text"), 0),
    (lambda page: page.locator("#from").fill("2026-11-09T05:00:00"), 3),
    (lambda page: page.locator("#from").fill("2026-11-09T05:00:01"), 2),
    (lambda page: page.locator("#to").fill("2026-11-09T04:00:00"), 2),
    (lambda page: page.locator("#to").fill("2026-11-09T04:00:01"), 3),
)


def test_each_filter_shows_what_it_says(open_page: Open) -> None:
    """A filter leaves as many alerts as pass it; removing it from the list of chosen filters brings all back."""
    page = unfold(open_page(mixed()))
    for choose, shown in FILTERS:
        choose(page)
        expect(page.locator("#result")).to_contain_text(f"{shown} of 6 alerts")
        assert len(rows(page)) == shown
        while (remove := page.locator("#chosen button")).count():
            remove.first.click()
        expect(page.locator("#result")).to_have_text("All 6 alerts · 47 events")


def test_filters_narrow_each_other(open_page: Open) -> None:
    """Filters hold together, choices tell what they would leave, and one click removes all of them."""
    page = unfold(open_page(mixed()))
    page.locator("#search").fill("alice")
    severity = page.locator("#severity strong")
    assert severity.all_inner_texts() == ["1", "1", "2", "0"]
    page.locator("#severity").get_by_role("button", name="Low").click()
    page.locator("#severity").get_by_role("button", name="High").click()
    expect(page.locator("#result")).to_have_text("3 of 6 alerts · 44 events")
    # What another severity would show beside these is still told.
    assert severity.all_inner_texts() == ["1", "1", "2", "0"]
    assert page.locator("#rule option").all_inner_texts() == [
        "All rules",
        "Key Deleted (2)",
        "Odd Login (0)",
        "Trail Stopped (1)",
    ]
    page.locator("#attack").get_by_role("button", name="Impact").click()
    expect(page.locator("#result")).to_have_text("2 of 6 alerts · 41 events")
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#result")).to_have_text("All 6 alerts · 47 events")
    expect(page.locator("#search")).to_have_value("")


def test_a_time_is_chosen_in_the_timeline(open_page: Open) -> None:
    """Dragging over bars shows what was going on in their time, also what began earlier; a bar tells what it counts."""
    page = open_page(mixed())
    # An hour in each, from the first to the last first event.
    bars = page.locator("#bars > div")
    assert bars.count() == 31
    assert bars.nth(2).get_attribute("title") == "2026-11-09 02:00:00 to 2026-11-09 03:00:00\nMedium: 1 alert"
    page.locator("#measures").get_by_role("button", name="Events").click()
    assert "Low: 40 events" in str(bars.nth(10).get_attribute("title"))
    expect(page.locator("#timeline-note")).to_contain_text("1 alert without a time")
    start, end = bars.nth(4).bounding_box(), bars.nth(10).bounding_box()
    assert start
    assert end
    # Drawn from the right to the left.
    page.mouse.move(end["x"] + 1, end["y"] + 50)
    page.mouse.down()
    page.mouse.move(start["x"] + 1, start["y"] + 50)
    page.mouse.up()
    expect(page.get_by_label("From (UTC)")).to_have_value("2026-11-09T04:00")
    expect(page.get_by_label("Before (UTC)")).to_have_value("2026-11-09T11:00")
    expect(page.locator("#result")).to_contain_text("3 of 6 alerts")
    expect(page.locator("#timeline-note")).to_contain_text("1 alert of the chosen time began before it")
    page.get_by_role("button", name="Whole time").click()
    expect(page.locator("#result")).to_contain_text("All 6 alerts")


@pytest.mark.parametrize("years", [("0001", "9999"), ("1970", "2026"), ("2026", "2026")])
def test_any_time_fits_into_the_timeline(open_page: Open, years: tuple[str, str]) -> None:
    """However far alerts lie apart, the bars are few and hold all of them."""
    times = [f"{year}-11-09T00:00:00Z" for year in years]
    page = open_page([alert(n, first_time=time, last_time=time) for n, time in enumerate(times)])
    assert page.locator("#bars > div").count() <= 61
    expect(page.locator("#bars")).to_have_attribute("aria-label", re.compile("^2 alerts"))


def test_searched_time_is_the_timeline(open_page: Open) -> None:
    """The bars begin and end with the time that was searched, so that quiet hours are seen."""
    page = open_page([alert(10)], since=iso(0), until=iso(24))
    axis = page.locator("#axis span").all_inner_texts()
    assert (axis[0], axis[-1]) == ("2026-11-09 00:00", "2026-11-10 00:00")
    assert page.get_by_text("2026-11-09 00:00:00 UTC to 2026-11-10 00:00:00 UTC").is_visible()


def test_techniques_stand_under_their_tactics(open_page: Open) -> None:
    """In the order of ATT&CK: a technique under the stated tactics that it serves, unknown ones last."""
    named: list[Json] = [
        {"id": "XTA0001", "name": "Vendor Tactic"},
        {"id": "TA0040", "name": "Impact"},
        {"id": "TA0001", "name": "Initial Access"},
    ]
    techniques: list[Json] = [
        {"id": "T1485", "name": "Data Destruction"},
        {"id": "T1078.004", "name": "Cloud Accounts"},
    ]
    page = unfold(open_page([alert(tactics=named, techniques=techniques)]))
    columns = [re.sub(r"\s+", " ", text) for text in page.locator("#attack section").all_inner_texts()]
    assert columns == [
        "Initial Access 1 T1078.004 Cloud Accounts 1",
        "Impact 1 T1485 Data Destruction 1",
        "Vendor Tactic 1",
    ]


def test_details_of_an_alert(open_page: Open) -> None:
    """An opened alert tells its key and what is missing in it, its events and their places, its rule and author."""
    page = open_page([alert(0, last_time=iso(3), event_count=12)])
    page.locator("#list summary").click()
    details = page.locator(".details")
    expect(details.locator(".key")).to_have_text("recipientAccountId123456789012userIdentity.arnnot in the event")
    expect(details.get_by_role("row").nth(1)).to_have_text("event-0trail.json.gz")
    for text in ("Events (1 of 12)", "One alert in 24h", "by Ann Author", "T1685.002 Disable or Modify Cloud Log"):
        expect(details).to_contain_text(text)
    expect(details).to_contain_text("2026-11-09 00:00:00 to 2026-11-09 03:00:00")


def test_a_chain_is_a_list_of_its_events(open_page: Open) -> None:
    """The details of a correlation's alert have its events in order, each with its rule, as texts."""
    step: JsonObject = {"rules": [{"id": "r", "title": "User Created"}], "id": "e", "place": "p", "actor": "alice"}
    failed: JsonObject = {"resource": "thing-1", "error_code": "AccessDenied"}
    chain: list[Json] = [
        {**step, "time": iso(0), "event": "iam.amazonaws.com CreateUser", "source_address": ""},
        {**step, "time": iso(1), "event": HOSTILE["element"], "source_address": "192.0.2.44", **failed},
    ]
    correlation: JsonObject = {"type": "temporal_ordered", "timespan": "1h", "since": iso(0), "chain": chain}
    page = open_page([alert(0, correlation=correlation)])
    page.locator(".group summary").last.click()
    expect(page.get_by_role("heading", name="Chain, temporal ordered within 1h")).to_be_visible()
    items = page.locator(".chain ol > li")
    expect(items).to_have_count(2)
    expect(items.first).to_contain_text("2026-11-09 00:00:00 iam.amazonaws.com CreateUser")
    expect(items.first).to_contain_text("User Created · alice")
    expect(items.last).to_contain_text(f"{HOSTILE['element']} thing-1 AccessDenied")


def test_alerts_are_copied_as_json(open_page: Open) -> None:
    """One alert, or all that are shown as JSON lines in their order, are in the clipboard as they were given."""
    alerts = [alert(0, actors=[HOSTILE["script"]]), alert(1, severity=99), alert(2, severity=1)]
    page = open_page(alerts)
    page.locator("#list summary").nth(1).click()
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.locator("#told")).to_have_text("Copied the alert as JSON.")
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == alerts[0]
    page.locator("#search").fill("alice")
    page.get_by_role("button", name="Copy 2 alerts as JSON lines").click()
    expect(page.locator("#told")).to_have_text("Copied 2 alerts as JSON.")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert [json.loads(line) for line in lines] == [alerts[1], alerts[2]]


def test_authors_stand_beside_matches(open_page: Open) -> None:
    """However alerts are grouped, the author of a rule stands with its alerts."""
    page = open_page(mixed())
    for grouping in ("By rule", "By actor", "Not grouped"):
        page.get_by_role("button", name=grouping).click()
        for author in ("by Ann Author", "by Bob Builder", "by an author not stated"):
            expect(page.locator("#list").get_by_text(author).first).to_be_visible()


@pytest.mark.parametrize("alerts", [mixed(), []], ids=["alerts", "none"])
def test_a_partial_answer_is_told_as_such(open_page: Open, alerts: list[JsonObject]) -> None:
    """Problems stand above everything and in the title, beside the count, and no page says that nothing matched."""
    problems: list[Json] = ["trail.json.gz: this is not gzip", "b.json, line 7: this is not JSON"]
    page = open_page(alerts, problems=problems)
    assert page.title() == "Incomplete: Potentially Malicious AWS Activity"
    told = page.get_by_role(
        "region", name="Incomplete: 2 problems while searching. There may be more alerts than these."
    )
    assert told.get_by_role("listitem").all_inner_texts() == problems
    box, headline = told.bounding_box(), page.locator("#headline").bounding_box()
    assert box
    assert headline
    assert box["y"] < headline["y"]
    beside = "Incomplete: see the problems above." if alerts else "not everything could be searched"
    expect(page.locator("#result" if alerts else "#empty")).to_contain_text(beside)
    assert page.get_by_text("No alerts.").count() == 0


def test_more_problems_than_are_listed(open_page: Open) -> None:
    """Where only the first problems are listed, the page says how many there were."""
    page = open_page(mixed(), problems=["a"], problem_count=1500)
    told = page.get_by_role("region", name=re.compile("^Incomplete: 1,500 problems"))
    assert told.get_by_role("listitem").all_inner_texts() == ["a", "and 1,499 more"]


def test_no_alerts_is_an_answer(open_page: Open) -> None:
    """Without alerts and problems the page says what was searched and that nothing matched."""
    page = open_page([])
    expect(page.locator("#empty")).to_have_text("No alerts. None of 29 rules matched in 415 records.")
    expect(page.locator("#facts")).to_contain_text("tests/samples")
    assert not page.locator("#content").is_visible()
    assert not page.locator("#problems").is_visible()
    page = open_page([], records=None, events=None)
    expect(page.locator("#empty")).to_have_text("No alerts. None of 29 rules matched.")


def test_a_torn_file_shows_no_alerts(browser: Browser, tmp_path: Path) -> None:
    """A page whose end is missing says so, wherever it ends; and so does one without scripts."""
    file = tmp_path / "report.html"
    write_html(mixed(), file, about=ABOUT)
    whole = file.read_bytes()
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(file.as_uri())
        expect(page.locator("#content")).to_be_visible()
        expect(page.locator("#unfinished")).to_be_hidden()
    data, part = (whole.index(mark) for mark in (b'id="data"', b'class="part"'))
    places = [data + 100, part + 100, len(whole) - 100]
    for java_script, length in [*((True, place) for place in places), (False, len(whole))]:
        file.write_bytes(whole[:length])
        with browser.new_context(java_script_enabled=java_script) as context:
            page = context.new_page()
            page.goto(file.as_uri())
            expect(page.locator("#unfinished")).to_be_visible()
            expect(page.locator("#content")).to_be_hidden()


def test_keyboard_reaches_and_keeps_its_place(open_page: Open) -> None:
    """Choices are made with Tab and Enter, the focus stays where it was, and alerts open with Enter."""
    page = open_page(mixed())
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the alerts")).to_be_focused()
    high = page.locator("#severity").get_by_role("button", name="High")
    for _ in range(30):
        page.keyboard.press("Tab")
        if high.evaluate("(node) => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(high).to_be_focused()
    expect(high).to_have_attribute("aria-pressed", "true")
    summary = page.locator("#list summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".details")).to_be_visible()
    remove = page.get_by_role("button", name="Remove filter: Severity: High")
    remove.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_focused()


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)], ids=["desktop, light", "phone, dark"])
def test_everybody_can_read_it(open_page: Open, size: tuple[int, int], dark: bool) -> None:
    """Contrasts, names and roles are as accessibility asks, and a phone never has to scroll sideways."""
    page = unfold(open_page([*mixed(), told(50)], size, dark, problems=["trail.json.gz: " + "x" * 300]))
    for summary in page.locator("#list summary").all():
        summary.click()
    page.locator("#severity").get_by_role("button", name="High").click()
    page.locator(".over-time").first.click()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert overflow(page) == 0


def test_paper_has_every_alert(open_page: Open) -> None:
    """What a screen shows on demand is printed; controls are not, chosen filters are."""
    page = open_page([alert(number) for number in range(40)])
    assert len(rows(page)) == 5
    page.locator("#search").fill("alice")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert len(rows(page)) == 40
    expect(page.locator("#search")).to_be_hidden()
    expect(page.get_by_role("button", name="Remove filter: Search: alice")).to_be_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(rows(page)) == 5


def test_thousands_of_alerts_stay_quick(open_page: Open) -> None:
    """Of thousands of alerts few are drawn at once, whatever is asked for; all can be searched and reached."""
    alerts = [
        alert(
            number,
            severity=number % 101,
            actors=[f"user{number % 700}"],
            rule={"id": f"r{number % 29}", "title": f"Rule {number % 29:02}", "author": "Ann"},
            events=[{"id": f"id-{number}-{n}", "place": "f" * 90} for n in range(10)],
        )
        for number in range(5000)
    ]
    page = open_page(alerts)
    expect(page.locator("#result")).to_have_text("All 5,000 alerts · 5,000 events")
    assert len(rows(page)) == 29 * 5
    assert page.evaluate("document.querySelectorAll('*').length") < 6000
    search = page.locator("#search")
    search.fill("id-4321-7")
    expect(page.locator("#result")).to_contain_text("1 of 5,000 alerts")
    search.fill("")
    page.get_by_role("button", name="Show 50 more of 173 alerts").first.click()
    assert len(rows(page)) == 29 * 5 + 50
    page.get_by_role("button", name="By actor").click()
    assert len(groups(page)) == 50
    page.get_by_role("button", name="Show 50 more of 700 groups").click()
    assert len(groups(page)) == 100
