"""The language server: what a client of the Language Server Protocol asks, and what it is told.

Everything that is known of rules is in the modules beside this one, most of which know nothing of the protocol.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer

from sigma_stellar_aws import __version__
from sigma_stellar_aws.editor import aws_documentation
from sigma_stellar_aws.editor.completion import Proposal, ProposalKind, complete
from sigma_stellar_aws.editor.fixes import fixes_of
from sigma_stellar_aws.editor.hover import hover
from sigma_stellar_aws.editor.rule_runs import lenses, run_tests
from sigma_stellar_aws.editor.session import NAME, Session, path_of
from sigma_stellar_aws.reference import attack, aws_events

RUN_TESTS = "sigma-stellar-aws.runTests"
"""The command that runs the tests beside a rule, given the URI of its file."""

PAUSE_SECONDS = 0.2
"""How long a writer pauses before a text is checked again."""

LONGER_PAUSE_SECONDS = 1.0
"""The same for the other texts that are open."""

_KINDS: Mapping[ProposalKind, lsp.CompletionItemKind] = {
    "key": lsp.CompletionItemKind.Keyword,
    "field": lsp.CompletionItemKind.Field,
    "value": lsp.CompletionItemKind.Value,
    "event": lsp.CompletionItemKind.Event,
    "modifier": lsp.CompletionItemKind.Operator,
    "selection": lsp.CompletionItemKind.Variable,
    "rule": lsp.CompletionItemKind.Reference,
}
_TRIGGERS = (".", "|", ":", " ", "'", '"', "-")


def make_server() -> LanguageServer:
    """Return a server that can be started."""
    # Whole texts: what a client and pygls take for the end of a line differs, and rules are short.
    server = LanguageServer(NAME, __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full)
    session = Session(server)
    completions = lsp.CompletionOptions(trigger_characters=_TRIGGERS)
    actions = lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix])
    server.feature(lsp.INITIALIZED)(partial(_initialized, session))
    server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(partial(_opened, session))
    server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(partial(_changed, session))
    server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)(partial(_saved, session))
    server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(partial(_closed, session))
    server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)(partial(_files_changed, session))
    server.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(partial(_folders_changed, session))
    server.feature(lsp.TEXT_DOCUMENT_COMPLETION, completions)(partial(_completion, session))
    server.feature(lsp.TEXT_DOCUMENT_HOVER)(partial(_hover, session))
    server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, actions)(partial(_code_action, session))
    server.feature(lsp.TEXT_DOCUMENT_CODE_LENS)(partial(_code_lens, session))

    async def run_tests_of(uri: str) -> dict[str, object]:
        return await _run_tests(session, uri)

    # Its arguments are read by their types, so that it cannot have the session among them.
    server.command(RUN_TESTS)(run_tests_of)
    return server


async def _initialized(session: Session, params: lsp.InitializedParams) -> None:
    capabilities = session.client.client_capabilities.workspace
    watched = capabilities and capabilities.did_change_watched_files
    if watched and watched.dynamic_registration:
        watchers = [lsp.FileSystemWatcher("**/*.yml"), lsp.FileSystemWatcher("**/*.yaml")]
        options = lsp.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = lsp.Registration("rules", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        await session.client.client_register_capability_async(lsp.RegistrationParams([registration]))
    session.take_folders()
    session.refresh_soon()
    await session.in_thread(_read_tables)


def _read_tables() -> None:
    """Read what the first answer would have to wait for."""
    attack.attack()
    aws_events.all_names()
    aws_documentation.read_model_names()


def _opened(session: Session, params: lsp.DidOpenTextDocumentParams) -> None:
    session.opened[params.text_document.uri] = params.text_document.text
    session.check_soon(params.text_document.uri, 0)
    session.check_others_soon(params.text_document.uri, LONGER_PAUSE_SECONDS)


def _changed(session: Session, params: lsp.DidChangeTextDocumentParams) -> None:
    uri = params.text_document.uri
    session.opened[uri] = session.client.workspace.get_text_document(uri).source
    session.check_soon(uri, PAUSE_SECONDS)
    session.check_others_soon(uri, LONGER_PAUSE_SECONDS)


def _saved(session: Session, params: lsp.DidSaveTextDocumentParams) -> None:
    session.refresh_soon()


def _closed(session: Session, params: lsp.DidCloseTextDocumentParams) -> None:
    session.close(params.text_document.uri)
    session.check_others_soon(params.text_document.uri, LONGER_PAUSE_SECONDS)


def _files_changed(session: Session, params: lsp.DidChangeWatchedFilesParams) -> None:
    session.refresh_soon()


def _folders_changed(session: Session, params: lsp.DidChangeWorkspaceFoldersParams) -> None:
    session.take_folders()
    session.refresh_soon()


def _completion(session: Session, params: lsp.CompletionParams) -> lsp.CompletionList | None:
    text = session.text(params.text_document.uri)
    found = complete(text, session.offset(text, params.position), session.names)
    if found is None:
        return None
    replaced = session.range(text, found.place)
    items = [_item(proposal, number, replaced) for number, proposal in enumerate(found.proposals)]
    return lsp.CompletionList(is_incomplete=not found.is_complete, items=items)


def _item(proposal: Proposal, number: int, replaced: lsp.Range) -> lsp.CompletionItem:
    return lsp.CompletionItem(
        label=proposal.label,
        kind=_KINDS[proposal.kind],
        detail=proposal.detail or None,
        documentation=proposal.documentation or None,
        sort_text=f"{number:04}",
        filter_text=f"{proposal.label} {proposal.also}" if proposal.also else None,
        text_edit=lsp.TextEdit(replaced, proposal.insert or proposal.label),
    )


async def _hover(session: Session, params: lsp.HoverParams) -> lsp.Hover | None:
    text = session.text(params.text_document.uri)
    offset = session.offset(text, params.position)
    found = await session.in_thread(partial(hover, text, offset, session.names))
    if found is None:
        return None
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, found.markdown), session.range(text, found.place))


async def _code_action(session: Session, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    uri = params.text_document.uri
    if not session.holds_rules(uri):
        return []
    text = session.text(uri)
    actions: list[lsp.CodeAction] = []
    for finding in await session.findings(uri, text):
        diagnostic = session.diagnostic(text, finding)
        if diagnostic.range.end < params.range.start or params.range.end < diagnostic.range.start:
            continue
        for fix in fixes_of(text, finding):
            edit = lsp.TextEdit(session.range(text, fix.place), fix.replacement)
            changes = lsp.WorkspaceEdit(changes={uri: [edit]})
            kind = lsp.CodeActionKind.QuickFix
            actions.append(lsp.CodeAction(fix.title, kind, [diagnostic], is_preferred=True, edit=changes))
    return actions


async def _code_lens(session: Session, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
    uri = params.text_document.uri
    path = path_of(uri)
    if path is None:
        return []
    text = session.text(uri)
    return [
        lsp.CodeLens(
            lsp.Range(lsp.Position(lens.line, 0), lsp.Position(lens.line, 0)),
            lsp.Command(title=lens.title, command=RUN_TESTS, arguments=[uri]),
        )
        for lens in await session.in_thread(lambda: [*lenses(text, path)])
    ]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A name that no file can have.
        return False


async def _run_tests(session: Session, uri: str) -> dict[str, object]:
    """Run the tests beside a rule, and tell what failed: in a message, in the log, and at the cases."""
    path = path_of(uri)
    if path is None or not _is_file(path):
        message = "The rule was never saved, so that there is no test beside it."
        session.client.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, message))
        return {"passed": False, "summary": message, "failed": []}
    run = await session.in_thread(partial(run_tests, path))
    said = [run.summary, *(case.message for case in run.failed), *run.problems]
    if session.text(uri) != path.read_text(encoding="utf-8", errors="replace"):
        said.append("what is not saved yet was not run")
    passed = not run.failed and not run.problems
    kind = lsp.MessageType.Info if passed else lsp.MessageType.Error
    session.client.window_show_message(lsp.ShowMessageParams(kind, "; ".join(said)))
    if run.details:
        session.client.window_log_message(lsp.LogMessageParams(lsp.MessageType.Info, run.details))
    session.show_failures(path, run.failed)
    return {"passed": passed, "summary": run.summary, "failed": [case.message for case in run.failed]}
