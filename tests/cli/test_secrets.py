"""No credential is in anything that is written, whatever a server does with it."""

import base64
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from sigma_stellar_aws.cli import main
from sigma_stellar_aws.store import retries
from tests.support.rogue import Request, Rogue, answer, head, rogue

MARK = "s3cr3t-Mark"
ENVIRONMENTS = {
    "password": {"SIGMA_STELLAR_AWS_USER": "alice", "SIGMA_STELLAR_AWS_PASSWORD": f"{MARK}-password"},
    "key": {"SIGMA_STELLAR_AWS_API_KEY": f"{MARK}-key"},
    "proxy": {"SIGMA_STELLAR_AWS_API_KEY": f"{MARK}-key", "HTTP_PROXY": f"http://bob:{MARK}-proxy@{{host}}"},
}
COMMANDS = {
    "alerts": ["alerts", "--index", "logs"],
    "write": ["alerts", "--index", "logs", "--write", "kept", "--checkpoint", "{folder}/checkpoint"],
    "profile": ["profile"],
    "doctor": ["doctor"],
    "load": ["load", "tests/samples/export.ndjson", "--index", "logs"],
    "plan": ["plan", "opensearch", "--state", "{folder}/state", "-o", "{folder}/plan"],
    "apply": ["apply", "elastic", "--yes", "--state", "{folder}/state"],
    "remove": ["remove", "elastic", "--yes", "--state", "{folder}/state"],
}
Write = Callable[[bytes], None]


def _echo(status: str) -> Rogue:
    """An answer that repeats what it was sent, in its head and its body, as a debugging proxy does."""

    def behave(request: Request, write: Write) -> None:
        told = "; ".join(f"{name}: {value}" for name, value in request.headers.items()).replace('"', "")
        body = f'{{"error": {{"type": "odd", "reason": "{told}"}}, "message": "{told}", "status": {status[:3]}}}'
        write(answer(body.encode(), status, Warning=f'299 OpenSearch-3 "{told} \x1b[2J"', X_Echo=told))

    return behave


def _hang_up(request: Request, write: Write) -> None:
    write(head()[:20])
    raise OSError


def _redirect(request: Request, write: Write) -> None:
    write(answer(b"", "307 Temporary Redirect", Location="http://127.0.0.1:9/elsewhere"))


FAULTS: dict[str, Rogue] = {
    **{number: _echo(f"{number} Odd") for number in ("200", "400", "401", "403", "404", "500", "503")},
    "cut": _hang_up,
    "redirect": _redirect,
    "no JSON": lambda request, write: write(answer(request.headers.get("authorization", "").encode(), "400 Bad")),
    "no JSON, in good order": lambda request, write: write(answer(request.headers.get("authorization", "").encode())),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and few."""
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(retries, "TRIES", 2)
    monkeypatch.setattr("sigma_stellar_aws.install.server_errors.WAITS", (0.001,))
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_no_credential_is_written(
    environment: str,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is in no output, no file and no log, also where a server repeats it."""
    sent: list[str] = []

    def behave(request: Request, write: Write) -> None:
        sent.extend(value for name, value in request.headers.items() if "authorization" in name)
        FAULTS[fault](request, write)

    with rogue(behave) as url, warnings.catch_warnings(record=True) as warned:
        for name, value in ENVIRONMENTS[environment].items():
            monkeypatch.setenv(name, value.format(host=url.removeprefix("http://")))
        for command in COMMANDS.values():
            sent.clear()
            with pytest.raises(SystemExit) as ended:
                main([*(part.format(folder=tmp_path) for part in command), "--url", url])
            assert ended.value.code in (1, 3)
            assert sent
    shown = "".join(capfd.readouterr()) + "".join(str(each.message) for each in warned)
    written = shown + caplog.text + "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    assert "Error: " in shown
    basic = base64.b64encode(f"alice:{MARK}-password".encode()).decode()
    for secret in (MARK, basic):
        assert secret not in written, written[max(0, written.index(secret) - 200) :][:400]
    assert "Traceback" not in shown
    assert "\x1b" not in shown
