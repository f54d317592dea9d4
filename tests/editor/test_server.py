"""The language server, asked by a real client over standard input and output."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from lsprotocol import types as lsp

from sigma_stellar_aws.authoring.check import check_rules
from sigma_stellar_aws.rule_files.find import pack_path
from tests.authoring.test_check import CORRELATION, GOOD, changed
from tests.editor.client import Editor, editor
from tests.editor.writing import HEAD, cut

UNSAVED = "untitled:Untitled-1"
FAULTY = changed(GOOD, "'DeleteAlarms'", "'DeleteAlarm'")
FOUND = ["stellar_aws_impossible_condition"]
LAMBDA = "aws_lambda_function_code_updated"

Talk = Callable[[Editor], Coroutine[Any, Any, None]]


def talk(script: Talk, folder: Path | None = None, *encodings: lsp.PositionEncodingKind, watches: bool = False) -> None:
    """Let an editor and a server of its own talk."""

    async def run() -> None:
        async with editor(folder, encodings, watches=watches) as one:
            await script(one)

    asyncio.run(run())


def at(text: str, offset: int) -> lsp.Position:
    """The position of an offset in UTF-16, of a text with line feeds."""
    before = text[:offset].split("\n")
    return lsp.Position(len(before) - 1, len(before[-1].encode("utf-16-le")) // 2)


def part(text: str, found: lsp.Range, encoding: str = "utf-16-le") -> str:
    """What a range of one line marks."""
    assert found.start.line == found.end.line
    width = {"utf-16-le": 2, "utf-8": 1, "utf-32-le": 4}[encoding]
    line = text.splitlines()[found.start.line].encode(encoding)
    return line[found.start.character * width : found.end.character * width].decode(encoding)


def test_a_text_that_was_never_saved_is_written() -> None:
    """It is checked as it is written: a slip is told, then cured; a closed text is told of no more."""

    async def script(one: Editor) -> None:
        one.open(UNSAVED, "")
        assert await one.diagnostics(UNSAVED) == ()
        one.change(UNSAVED, 2, FAULTY)
        [found] = await one.diagnostics(UNSAVED, 2)
        assert part(FAULTY, found.range) == "eventName: 'DeleteAlarm'"
        assert (found.code, found.source, found.severity) == (*FOUND, "sigma-stellar-aws", lsp.DiagnosticSeverity.Error)
        one.change(UNSAVED, 3, GOOD)
        assert await one.diagnostics(UNSAVED, 3) == ()
        one.change(UNSAVED, 4, "titl")
        assert [each.code for each in await one.diagnostics(UNSAVED, 4)] == ["sigma"]
        one.close(UNSAVED)
        assert await one.diagnostics(UNSAVED, None) == ()

    talk(script)


def test_a_rule_is_typed() -> None:
    """Letter by letter, faster than anything is checked, with completions in between; the end is what counts."""

    async def script(one: Editor) -> None:
        one.open(UNSAVED, "")
        for length in range(1, len(FAULTY) + 1):
            one.change(UNSAVED, length + 1, FAULTY[:length])
            if length % 40 == 0:
                where = lsp.CompletionParams(lsp.TextDocumentIdentifier(UNSAVED), at(FAULTY, length))
                await one.client.text_document_completion_async(where)
            if length % 150 == 0:
                await one.diagnostics(UNSAVED, length + 1)
        assert [each.code for each in await one.diagnostics(UNSAVED, len(FAULTY) + 1)] == FOUND

    talk(script)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        (lsp.PositionEncodingKind.Utf8, "utf-8"),
        (lsp.PositionEncodingKind.Utf16, "utf-16-le"),
        (lsp.PositionEncodingKind.Utf32, "utf-32-le"),
    ],
)
def test_positions_are_in_the_units_of_the_client(encoding: lsp.PositionEncodingKind, name: str) -> None:
    """An emoji and an umlaut before the place that is meant; CRLF; a tab; no line end at the last line."""
    selection = "selection: {x: '\U0001f600\u00fc\t', eventSource: 'iam.amazonaws.com', eventName: 'CreateUsr'}"
    text = GOOD[: GOOD.index("    selection:")] + f"    {selection}\n    condition: selection"
    text = text.replace("\n", "\r\n")

    async def script(one: Editor) -> None:
        one.open(UNSAVED, text)
        found = {each.code: each for each in await one.diagnostics(UNSAVED)}
        assert part(text, found["stellar_aws_unknown_field"].range, name).startswith("x: ")
        assert part(text, found["stellar_aws_event_name"].range, name).startswith("eventName: 'CreateUsr'")
        place = found["stellar_aws_event_name"].range.end
        before = lsp.Position(place.line, place.character - 2)
        where = lsp.CompletionParams(lsp.TextDocumentIdentifier(UNSAVED), before)
        listed = await one.client.text_document_completion_async(where)
        assert isinstance(listed, lsp.CompletionList)
        assert isinstance(listed.items[0].text_edit, lsp.TextEdit)
        assert part(text, listed.items[0].text_edit.range, name) == "CreateUsr"

    talk(script, None, encoding)


def test_completion_and_hover() -> None:
    """A completion replaces the word at the cursor; a hover is Markdown about a part of the text."""
    text, offset = cut(HEAD + "        eventName: 'DeleteUs^r'\n")

    async def script(one: Editor) -> None:
        one.open(UNSAVED, text)
        document = lsp.TextDocumentIdentifier(UNSAVED)
        listed = await one.client.text_document_completion_async(lsp.CompletionParams(document, at(text, offset)))
        assert isinstance(listed, lsp.CompletionList)
        first = listed.items[0]
        assert (first.label, first.detail, first.kind) == (
            "DeleteUser",
            "iam.amazonaws.com",
            lsp.CompletionItemKind.Event,
        )
        assert isinstance(first.text_edit, lsp.TextEdit)
        assert (part(text, first.text_edit.range), first.text_edit.new_text) == ("DeleteUsr", "DeleteUser")
        place = at(text, text.index("eventSource") + 2)
        shown = await one.client.text_document_hover_async(lsp.HoverParams(document, place))
        assert shown is not None
        assert isinstance(shown.contents, lsp.MarkupContent)
        assert "The service that was called" in shown.contents.value
        assert shown.range is not None
        assert part(text, shown.range) == "eventSource"
        nowhere = lsp.HoverParams(document, lsp.Position(99, 0))
        assert await one.client.text_document_hover_async(nowhere) is None

    talk(script)


def test_rules_of_a_folder(tmp_path: Path) -> None:
    """A correlation names the rule of another file, as it is on disk or in the editor, and may be completed with it."""
    rule, correlation = tmp_path / "aws_a_rule.yml", tmp_path / "correlation_of_rules.yml"
    rule.write_text(GOOD)
    correlation.write_text(CORRELATION)
    (tmp_path / "ci.yml").write_text("on: push\n")
    uri, other = correlation.as_uri(), rule.as_uri()

    async def script(one: Editor) -> None:
        one.open(uri, CORRELATION)
        await one.until(uri, [])
        assert one.registered == [lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES]
        one.open((tmp_path / "ci.yml").as_uri(), "on: push\n")
        assert await one.diagnostics((tmp_path / "ci.yml").as_uri()) == ()
        rule.write_text(GOOD.replace("9f01", "9f08"))
        changes = [lsp.FileEvent(other, lsp.FileChangeType.Changed)]
        one.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams(changes))
        await one.until(uri, ["reference"])
        [found] = one.published[uri].diagnostics
        assert part(CORRELATION, found.range) == "5f0a1b7e-8f0e-4a3f-9a53-0d3a4a0c9f01"
        one.open(other, GOOD)
        one.change(uri, 2, CORRELATION + "\n")
        await one.until(uri, [])
        line = lsp.Position(CORRELATION[: CORRELATION.index("- 5f0a")].count("\n"), 10)
        where = lsp.CompletionParams(lsp.TextDocumentIdentifier(uri), line)
        listed = await one.client.text_document_completion_async(where)
        assert isinstance(listed, lsp.CompletionList)
        assert ("A Good Rule" in {item.detail for item in listed.items}) is True

    talk(script, tmp_path, watches=True)


def test_files_that_are_not_open(tmp_path: Path) -> None:
    """What is asked of one is answered from the disk; of one that is nowhere, or cannot be, nothing is known."""
    rule = tmp_path / "aws_a_rule.yml"
    rule.write_text(GOOD)
    nowhere = [
        UNSAVED,
        "http://[example",
        "file://[example/a.yml",
        tmp_path.as_uri(),
        (tmp_path / "none.yml").as_uri(),
        (tmp_path / ("a" * 300)).as_uri(),
        "file:///a%00b.yml",
    ]
    word = at(GOOD, GOOD.index("eventSource"))

    async def script(one: Editor) -> None:
        for uri in [rule.as_uri(), *nowhere]:
            document = lsp.TextDocumentIdentifier(uri)
            shown = await one.client.text_document_hover_async(lsp.HoverParams(document, word))
            assert (shown is not None) is (uri == rule.as_uri())
            await one.client.text_document_completion_async(lsp.CompletionParams(document, word))
            assert not await one.client.text_document_code_lens_async(lsp.CodeLensParams(document))
            everything = lsp.Range(lsp.Position(0, 0), lsp.Position(99, 0))
            fixes = lsp.CodeActionParams(document, everything, lsp.CodeActionContext([]))
            assert not await one.client.text_document_code_action_async(fixes)
            if uri != rule.as_uri():
                run = lsp.ExecuteCommandParams("sigma-stellar-aws.runTests", [uri])
                assert (await one.run(run))["passed"] is False
        assert set(one.messages) == {"The rule was never saved, so that there is no test beside it."}

    talk(script, tmp_path)


def test_uris_with_escapes(tmp_path: Path) -> None:
    """What is said of a file names its version, whatever its name; a client may leave out what is older."""
    folder = tmp_path / "a b %41 \u00fc [x]#"
    folder.mkdir()
    rule = folder / "aws_a_rule.yml"
    rule.write_text(FAULTY)

    async def script(one: Editor) -> None:
        one.open(rule.as_uri(), FAULTY)
        assert [each.code for each in await one.diagnostics(rule.as_uri())] == FOUND
        one.change(rule.as_uri(), 2, GOOD)
        assert await one.diagnostics(rule.as_uri(), 2) == ()

    talk(script, folder)


def test_a_rule_that_was_not_read_yet_is_not_missing(tmp_path: Path) -> None:
    """Of a correlation nothing is said before the folder has been read, however many files that has."""
    (tmp_path / "aws_z_rule.yml").write_text(GOOD)
    for number in range(60):
        (tmp_path / f"aws_rule_{number}.yml").write_text(GOOD.replace("9f01", f"9e{number:02}"))
    correlation = (tmp_path / "correlation_of_rules.yml").as_uri()

    async def script(one: Editor) -> None:
        one.open(correlation, CORRELATION)
        assert await one.diagnostics(correlation) == ()
        assert one.ever_found == set()

    talk(script, tmp_path, watches=True)


def test_many_changes_are_looked_at_together(tmp_path: Path) -> None:
    """A change of branch tells of each file; questions are answered meanwhile, and the end is what counts."""
    rule, correlation = tmp_path / "aws_a_rule.yml", tmp_path / "correlation_of_rules.yml"
    rule.write_text(GOOD)
    correlation.write_text(CORRELATION)

    async def script(one: Editor) -> None:
        one.open(correlation.as_uri(), CORRELATION)
        await one.until(correlation.as_uri(), [])
        changes = [lsp.FileEvent(rule.as_uri(), lsp.FileChangeType.Changed)]
        for _ in range(300):
            one.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams(changes))
        rule.write_text(GOOD.replace("9f01", "9f08"))
        one.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams(changes))
        await one.until(correlation.as_uri(), ["reference"])
        rule.unlink()
        rule.mkdir()
        other = tmp_path / "aws_other_rule.yml"
        other.write_text(GOOD)
        one.save(other.as_uri())
        await one.until(correlation.as_uri(), [])

    talk(script, tmp_path, watches=True)


def test_two_documents_that_know_each_other(tmp_path: Path) -> None:
    """What is written in one is told in the other, too: a rule is renamed that a correlation names."""
    rule, correlation = tmp_path / "aws_a_rule.yml", tmp_path / "correlation_of_rules.yml"
    rule.write_text(GOOD)
    correlation.write_text(CORRELATION)

    async def script(one: Editor) -> None:
        one.open(correlation.as_uri(), CORRELATION)
        one.open(rule.as_uri(), GOOD)
        await one.until(correlation.as_uri(), [])
        one.change(rule.as_uri(), 2, GOOD.replace("9f01", "9f08"))
        await one.until(correlation.as_uri(), ["reference"])
        one.change(rule.as_uri(), 3, GOOD)
        await one.until(correlation.as_uri(), [])

    talk(script, tmp_path)


def test_a_fix_ends_a_finding() -> None:
    """The fix of what is at the cursor comes with its diagnostic; written, nothing is found any more."""

    async def script(one: Editor) -> None:
        one.open(UNSAVED, FAULTY)
        [found] = await one.diagnostics(UNSAVED)
        where = lsp.CodeActionParams(
            lsp.TextDocumentIdentifier(UNSAVED),
            lsp.Range(found.range.start, found.range.start),
            lsp.CodeActionContext([]),
        )
        actions = await one.client.text_document_code_action_async(where)
        assert actions
        [action] = actions
        assert isinstance(action, lsp.CodeAction)
        assert action.edit is not None
        assert action.edit.changes is not None
        [edit] = action.edit.changes[UNSAVED]
        assert (part(FAULTY, edit.range), edit.new_text) == ("DeleteAlarm", "DeleteAlarms")
        top = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 1))
        elsewhere = lsp.CodeActionParams(lsp.TextDocumentIdentifier(UNSAVED), top, lsp.CodeActionContext([]))
        assert await one.client.text_document_code_action_async(elsewhere) == ()

    talk(script)


def test_a_renamed_file(tmp_path: Path) -> None:
    """An editor closes the one and opens the other; the id is then that of one rule still."""
    old, new = tmp_path / "aws_a_rule.yml", tmp_path / "aws_b_rule.yml"
    old.write_text(FAULTY)

    async def script(one: Editor) -> None:
        one.open(old.as_uri(), FAULTY)
        await one.until(old.as_uri(), FOUND)
        old.rename(new)
        one.close(old.as_uri())
        one.open(new.as_uri(), FAULTY)
        one.save(new.as_uri())
        await one.until(new.as_uri(), FOUND)
        await one.until(old.as_uri(), [])

    talk(script, tmp_path)


def test_they_are_the_findings_of_check(tmp_path: Path) -> None:
    """Of a folder with faults of many kinds: the same lines, checks and messages."""
    texts = {
        "aws_first_rule": FAULTY.replace("level: medium", "level: severe"),
        "aws_second_rule": GOOD.replace("title: A Good Rule", "title: [A]"),
        "aws_third_rule": GOOD.replace("- attack.t1485", "- attack.t1485\n    - attack.t1485"),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yml").write_text(text)
    report = check_rules([tmp_path])

    async def script(one: Editor) -> None:
        for file in sorted(tmp_path.iterdir()):
            expected = [finding for finding in report.findings if finding.path == file]
            one.open(file.as_uri(), file.read_text())
            await one.until(file.as_uri(), [finding.check for finding in expected])
            shown = one.published[file.as_uri()].diagnostics
            assert [each.message for each in shown] == [finding.message for finding in expected]
            assert [each.range.start.line + 1 for each in shown] == [finding.line for finding in expected]

    talk(script, tmp_path)
    assert len(report.findings) >= 3


def test_the_tests_beside_a_rule(tmp_path: Path) -> None:
    """Above the rule stands how many there are; run, they tell what failed, at the cases, too, until it passes."""
    for suffix in (".yml", ".test.yaml"):
        shutil.copy(pack_path() / f"{LAMBDA}{suffix}", tmp_path)
    rule = tmp_path / f"{LAMBDA}.yml"
    right = rule.read_text()
    rule.write_text(right.replace("'IAMUser'", "'Root'", 1))
    cases = (tmp_path / f"{LAMBDA}.test.yaml").as_uri()

    async def script(one: Editor) -> None:
        one.open(rule.as_uri(), rule.read_text())
        asked = lsp.CodeLensParams(lsp.TextDocumentIdentifier(rule.as_uri()))
        lens = await one.client.text_document_code_lens_async(asked)
        assert lens
        [shown] = lens
        assert shown.range.start.line == right.split("\n").index("title: AWS Lambda UpdateFunctionCode")
        assert shown.command is not None
        assert shown.command.title == "runs: 3 hits, 7 misses"
        run = lsp.ExecuteCommandParams(shown.command.command, shown.command.arguments)
        done = await one.run(run)
        assert done["passed"] is False
        assert len(done["failed"]) == 4
        assert "'the same call by the root user' should not match, and does" in one.messages[-1]
        assert "userIdentity.type" in one.logged[-1]
        await one.until(cases, ["test"] * 4)
        one.change(rule.as_uri(), 2, right)
        await one.run(run)
        assert "what is not saved yet was not run" in one.messages[-1]
        rule.write_text(right)
        done = await one.run(run)
        assert done == {"passed": True, "summary": "10 cases of 1 rule: 10 passed, 0 failed", "failed": []}
        await one.until(cases, [])
        unsaved = lsp.ExecuteCommandParams(shown.command.command, [UNSAVED])
        assert (await one.run(unsaved))["passed"] is False

    talk(script, tmp_path)


def test_a_client_that_goes_away_ends_the_server() -> None:
    """Whoever closes the pipe gets no traceback, and leaves no process behind."""
    done = subprocess.run(
        [sys.executable, "-m", "sigma_stellar_aws", "lsp"], input=b"", capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_client_that_goes_away_in_a_request() -> None:
    """What was asked is not answered, and nobody is told of that; of what is no message, in a line."""
    initialize = (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":null,"rootUri":null,"capabilities":{}}}'
    )
    opened = (
        '{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":'
        '{"uri":"untitled:1","languageId":"yaml","version":1,"text":"title: x"}}}'
    )
    hover = (
        '{"jsonrpc":"2.0","id":2,"method":"textDocument/hover","params":{"textDocument":{"uri":"untitled:1"},'
        '"position":{"line":0,"character":1}}}'
    )
    messages = [initialize, '{"jsonrpc":"2.0","method":"initialized","params":{}}', opened, hover, "{no json}"]
    sent = "".join(f"Content-Length: {len(message)}\r\n\r\n{message}" for message in messages) + "Content-Length: 9"
    done = subprocess.run(
        [sys.executable, "-m", "sigma_stellar_aws", "lsp"], input=sent.encode(), capture_output=True, timeout=60
    )
    assert done.returncode == 0
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert "JSON" in said
    assert len(said.splitlines()) == 2


def test_an_interrupt_ends_the_server() -> None:
    """Whoever starts it at a terminal, to see what it does, can end it."""
    server = subprocess.Popen(
        [sys.executable, "-m", "sigma_stellar_aws", "lsp"], stdin=PIPE, stdout=PIPE, stderr=PIPE, bufsize=0
    )
    assert server.stdin is not None
    assert server.stdout is not None
    message = (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":null,"rootUri":null,"capabilities":{}}}'
    )
    server.stdin.write(f"Content-Length: {len(message)}\r\n\r\n{message}".encode())
    assert server.stdout.read(1)
    server.send_signal(signal.SIGINT)
    assert server.wait(30) == -signal.SIGINT
    assert server.communicate()[1] == b""
