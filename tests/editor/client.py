"""A client of the language server, over standard input and output of the real command."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

_LIMIT = 20


class Editor:
    """An editor with a server of its own; what the server says is kept."""

    def __init__(self) -> None:
        """Begin with nothing open."""
        self.client = LanguageClient("test", "1")
        self.published: dict[str, lsp.PublishDiagnosticsParams] = {}
        self.ever_found: set[str] = set()
        self.messages: list[str] = []
        self.logged: list[str] = []
        self.registered: list[str] = []
        self._news = asyncio.Event()
        self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(partial(self._publish))
        self.client.feature(lsp.WINDOW_SHOW_MESSAGE)(lambda said: self.messages.append(said.message))
        self.client.feature(lsp.WINDOW_LOG_MESSAGE)(lambda said: self.logged.append(said.message))
        self.client.feature(lsp.CLIENT_REGISTER_CAPABILITY)(partial(self._register))

    def _publish(self, params: lsp.PublishDiagnosticsParams) -> None:
        self.published[params.uri] = params
        self.ever_found |= {str(each.code) for each in params.diagnostics}
        self._news.set()

    def _register(self, params: lsp.RegistrationParams) -> None:
        self.registered += [each.method for each in params.registrations]

    def open(self, uri: str, text: str) -> None:
        """Open a text."""
        document = lsp.TextDocumentItem(uri, "yaml", 1, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))

    def change(self, uri: str, version: int, text: str) -> None:
        """Replace an open text."""
        document = lsp.VersionedTextDocumentIdentifier(version, uri)
        whole = lsp.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [whole]))

    def save(self, uri: str) -> None:
        """Say that a text was saved."""
        self.client.text_document_did_save(lsp.DidSaveTextDocumentParams(lsp.TextDocumentIdentifier(uri)))

    def close(self, uri: str) -> None:
        """Close a text."""
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri)))

    async def diagnostics(self, uri: str, version: int | None = 1) -> Sequence[lsp.Diagnostic]:
        """Wait for what is said of a version of a text."""
        await self._wait(lambda: uri in self.published and self.published[uri].version == version)
        return self.published[uri].diagnostics

    async def until(self, uri: str, checks: Sequence[str]) -> None:
        """Wait until just these checks have found something in a text."""
        await self._wait(lambda: uri in self.published and self.checks(uri) == [*checks])

    async def run(self, command: lsp.ExecuteCommandParams) -> dict[str, Any]:
        """Run a command of the server; return what it says."""
        return dict(await self.client.workspace_execute_command_async(command) or {})

    async def _wait(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), _LIMIT)

    def checks(self, uri: str) -> list[str]:
        """The checks that have found something in a text, as last published."""
        return [str(each.code) for each in self.published[uri].diagnostics]


@asynccontextmanager
async def editor(
    folder: Path | None = None, encodings: Sequence[lsp.PositionEncodingKind] = (), *, watches: bool = False
) -> AsyncIterator[Editor]:
    """An editor that has a folder open."""
    one = Editor()
    await one.client.start_io(sys.executable, "-m", "sigma_stellar_aws", "lsp")
    general = lsp.GeneralClientCapabilities(position_encodings=[*encodings] or None)
    watching = lsp.DidChangeWatchedFilesClientCapabilities(dynamic_registration=watches)
    capabilities = lsp.ClientCapabilities(
        general=general, workspace=lsp.WorkspaceClientCapabilities(did_change_watched_files=watching)
    )
    folders = [lsp.WorkspaceFolder(folder.as_uri(), folder.name)] if folder else None
    await one.client.initialize_async(
        lsp.InitializeParams(capabilities=capabilities, process_id=None, root_uri=None, workspace_folders=folders)
    )
    one.client.initialized(lsp.InitializedParams())
    process = one.client._server
    assert process is not None
    assert process.stderr is not None
    # pygls has no type for it.
    stop: Callable[[], Coroutine[Any, Any, None]] = one.client.stop
    try:
        yield one
        await asyncio.wait_for(one.client.shutdown_async(None), _LIMIT)
        one.client.exit(None)
        assert await asyncio.wait_for(process.wait(), _LIMIT) == 0
        assert (await process.stderr.read()).decode() == ""
    finally:
        if process.returncode is None:
            process.kill()
        await stop()
