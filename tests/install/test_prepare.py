"""What ``plan``, ``apply`` and ``remove`` share."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sigma_stellar_aws.cli import main
from tests.support.contract import Alerting
from tests.support.proxy import Asked, proxy


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("command", ["plan", "apply", "remove"])
def test_connections_are_closed(alerting_server: Alerting, command: str, failing: bool, tmp_path: Path) -> None:
    """Every command closes its connections to OpenSearch, whether it succeeds or fails."""

    def asked(asked: Asked) -> None:
        return None

    with proxy(alerting_server.url, asked) as between:
        options = ["--url", between.url, "--state", str(tmp_path / "state.json")]
        if command != "remove":
            options += ["--only", "KMS Keys Creation", *(["--take", "ours", "nothing"] if failing else [])]
        if command != "plan":
            options.append("--yes")
        # The result holds the error, and with it all that its frames hold.
        result = CliRunner().invoke(main, [command, "opensearch", *options])
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert between.asked or failing
        assert between.wait_until_closed(10)
