"""What a client of the language server has opened, and what is found in it.

What takes pySigma runs in one thread, so that completions need not wait for a check, and two checks never meet.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from sigma_stellar_aws.authoring.rule_documents import Finding, FindingSeverity
from sigma_stellar_aws.editor.completion import KnownRule
from sigma_stellar_aws.editor.diagnostics import findings_of_text, holds_rules
from sigma_stellar_aws.editor.folders import RuleFolders, known_rules
from sigma_stellar_aws.editor.rule_runs import FailedCase
from sigma_stellar_aws.editor.text_positions import Encoding, Place, offset_of, place_of_span, position_of

NAME = "sigma-stellar-aws"
"""The name of the server, and the source of its diagnostics."""

_GATHERED_SECONDS = 0.1
"""How long changes of files are gathered before anything is read."""

_NAMES_OTHERS = re.compile(r"^(?:correlation|filter)[ \t]*:", re.MULTILINE)
_SEVERITIES: Mapping[FindingSeverity, lsp.DiagnosticSeverity] = {
    "high": lsp.DiagnosticSeverity.Error,
    "medium": lsp.DiagnosticSeverity.Warning,
    "low": lsp.DiagnosticSeverity.Information,
}
_ENCODINGS: Mapping[str, Encoding] = {"utf-8": "utf-8", "utf-16": "utf-16", "utf-32": "utf-32"}

Returned = TypeVar("Returned")


class Session:
    """One client, what it has open, and what is known of its folders."""

    def __init__(self, client: LanguageServer) -> None:
        """Begin with nothing open."""
        self.client = client
        self.rules = RuleFolders([])
        self.names: list[KnownRule] = []
        """The rules of the folders, as correlations and filters may name them."""
        self.opened: dict[str, str] = {}
        """The texts that are open, by URI."""
        # A text that was taken for rules stays that while it is open, whatever is removed from it.
        self._rule_texts: set[str] = set()
        self._waiting: dict[str, asyncio.Task[None]] = {}
        # What was found last, and in which text: fixes are asked for where diagnostics are shown already.
        self._found: dict[str, tuple[str, list[Finding]]] = {}
        self._failed: dict[Path, set[Path]] = {}
        self._is_stale = False
        self._refreshing: asyncio.Task[None] | None = None
        self._folders_read = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rules")

    @property
    def encoding(self) -> Encoding:
        """In which units the client counts the characters of a line."""
        encoding = self.client.workspace.position_encoding
        return _ENCODINGS.get(str(getattr(encoding, "value", encoding)), "utf-16")

    async def in_thread(self, function: Callable[[], Returned]) -> Returned:
        """Run what takes pySigma."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def text(self, uri: str) -> str:
        """Return a text as the client has it, or else as it is on disk; empty if it is nowhere."""
        path = path_of(uri)
        if uri in self.opened or path is None:
            return self.opened.get(uri, "")
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return ""

    def range(self, text: str, place: Place) -> lsp.Range:
        """Return a part of a text in the client's units."""
        start, end = (position_of(text, offset, self.encoding) for offset in place)
        return lsp.Range(lsp.Position(*start), lsp.Position(*end))

    def offset(self, text: str, position: lsp.Position) -> int:
        """Return the offset of a position of the client's."""
        return offset_of(text, position.line, position.character, self.encoding)

    def holds_rules(self, uri: str) -> bool:
        """Tell whether an open text is meant to be rules."""
        if holds_rules(path_of(uri) or Path(_name_of(uri)), self.text(uri)):
            self._rule_texts.add(uri)
        return uri in self._rule_texts

    async def findings(self, uri: str, text: str) -> list[Finding]:
        """Return what is found in a text."""
        path = path_of(uri)
        shown = {file: other for key, other in self.opened.items() if (file := path_of(key)) is not None}

        def check() -> list[Finding]:
            others = self.rules.others(path, shown)
            return findings_of_text(path or Path(_name_of(uri)), text, others, is_saved=path is not None)

        before = self._found.get(uri)
        if before is not None and before[0] == text:
            return before[1]
        found = await self.in_thread(check)
        self._found[uri] = (text, found)
        return found

    def diagnostic(self, text: str, finding: Finding) -> lsp.Diagnostic:
        """Return a finding as the client shows it."""
        return lsp.Diagnostic(
            range=self.range(text, place_of_span(text, finding.place)),
            message=finding.message,
            severity=_SEVERITIES[finding.severity],
            code=finding.check,
            source=NAME,
        )

    def take_folders(self) -> None:
        """Look at the folders that the client has open from now on."""
        workspace = self.client.workspace
        uris = [*workspace.folders] or [uri for uri in [workspace.root_uri] if uri]
        self.rules = RuleFolders([path for uri in uris if (path := path_of(uri)) is not None])

    def refresh_soon(self) -> None:
        """Look for files that changed, once for all that is said of them meanwhile."""
        self._is_stale = True
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        while self._is_stale:
            self._is_stale = False
            # A change of branch is told file by file.
            await asyncio.sleep(_GATHERED_SECONDS)
            await self._look_for_changes()
        self._folders_read.set()
        capabilities = self.client.client_capabilities.workspace
        if capabilities and capabilities.code_lens and capabilities.code_lens.refresh_support:
            self.client.workspace_code_lens_refresh(None)

    async def _look_for_changes(self) -> None:
        rules = self.rules
        steps = rules.refresh()
        # Step by step, so that questions are answered meanwhile.
        while (has_changed := await self.in_thread(partial(next, steps))) is None:
            pass
        if has_changed and rules is self.rules:
            self.names = known_rules(await self.in_thread(partial(rules.others, None, {})))
            self._found.clear()
            for uri in self.opened:
                self.check_soon(uri, 0)

    def check_soon(self, uri: str, seconds: float) -> None:
        """Check a text after a pause, in place of a check that waits already."""
        if task := self._waiting.get(uri):
            task.cancel()
        self._waiting[uri] = asyncio.get_running_loop().create_task(self._check(uri, seconds))

    def check_others_soon(self, uri: str, seconds: float) -> None:
        """Check the other texts that are open, which may name a rule of this one, or have an id of it."""
        for other in self.opened:
            if other != uri:
                self._found.pop(other, None)
                self.check_soon(other, seconds)

    async def _check(self, uri: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if _NAMES_OTHERS.search(self.opened.get(uri, "")):
            # A rule that was not read yet is not missing.
            await self._folders_read.wait()
        text = self.opened.get(uri)
        if text is None:
            return
        found = await self.findings(uri, text) if self.holds_rules(uri) else []
        # What was written meanwhile is checked by a task of its own.
        if self.opened.get(uri) == text:
            self._publish(uri, [self.diagnostic(text, finding) for finding in found])

    def close(self, uri: str) -> None:
        """Forget a text, and show nothing more in it."""
        self.opened.pop(uri, None)
        self._rule_texts.discard(uri)
        self._found.pop(uri, None)
        if task := self._waiting.pop(uri, None):
            task.cancel()
        self._publish(uri, [])

    def show_failures(self, rule_file: Path, failed: Iterable[FailedCase]) -> None:
        """Show at the cases of test files which failed, and no more at those that did in an earlier run."""
        by_file: dict[Path, list[lsp.Diagnostic]] = {file: [] for file in self._failed.pop(rule_file, ())}
        for case in failed:
            place = lsp.Range(lsp.Position(case.line - 1, 0), lsp.Position(case.line, 0))
            diagnostic = lsp.Diagnostic(place, case.message, lsp.DiagnosticSeverity.Error, "test", source=NAME)
            by_file.setdefault(case.file, []).append(diagnostic)
        self._failed[rule_file] = {file for file, found in by_file.items() if found}
        for file, found in by_file.items():
            if (uri := from_fs_path(str(file))) is not None:
                self._publish(uri, found)

    def _publish(self, uri: str, diagnostics: list[lsp.Diagnostic]) -> None:
        # pygls keeps them by URIs without escapes.
        document = self.client.workspace.text_documents.get(unquote(uri))
        version = document.version if document else None
        self.client.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, diagnostics, version))


def path_of(uri: str) -> Path | None:
    """Return the file of a URI; None for a text that was never saved, or is in no file."""
    try:
        path = to_fs_path(uri) if urlsplit(uri).scheme == "file" else None
    except ValueError:
        # Such as brackets around what is not an address.
        return None
    return Path(path) if path else None


def _name_of(uri: str) -> str:
    return unquote(uri.partition("?")[0].partition("#")[0]).rpartition("/")[2] or "untitled"
