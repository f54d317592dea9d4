"""Packs that are kept on disk: never an old one, and never a reason to fail."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sigma_stellar_aws.alerts import pack_cache
from sigma_stellar_aws.alerts.pack import convert_pack
from sigma_stellar_aws.alerts.pack_cache import CACHE, MOST_PACKS, find_pack, keep_pack, pack_key
from sigma_stellar_aws.alerts.pack_rule import Override, Pack
from sigma_stellar_aws.alerts.run import pack_of
from sigma_stellar_aws.cli import main
from sigma_stellar_aws.pipelines.stellar_aws import stellar_aws, stellar_aws_published
from sigma_stellar_aws.rule_files.load import load_rules
from tests.support.records import record

RULE = """
title: Key
id: 7f1f6f0e-3b0f-4d0a-9f0e-6d6a0f1c2b3a
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: %s}, condition: selection}
"""
REFUSED = """
title: Refused
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName|re: a(?=b)}, condition: selection}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packs that is not there yet."""
    kept = tmp_path / "cache" / "packs"
    monkeypatch.setenv(CACHE, str(kept))
    return kept


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A log file with two events."""
    file = tmp_path / "log.ndjson"
    events = [record({"eventSource": "kms.amazonaws.com", "eventName": name}) for name in ("CreateKey", "CreateAlias")]
    file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return file


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with a rule about CreateKey."""
    made = tmp_path / "rules"
    made.mkdir()
    (made / "key.yml").write_text(RULE % "CreateKey", encoding="utf-8")
    return made


Alerts = Callable[..., Result]


@pytest.fixture
def alerts(logs: Path, rules: Path) -> Alerts:
    """Run the command on the log file."""
    return lambda *options: CliRunner().invoke(main, ["alerts", str(logs), "--rules", str(rules), "--json", *options])


def names(result: Result) -> list[str]:
    """The names of the events that were alerted on."""
    assert result.exit_code == 0, result.output
    return [name.split()[1] for line in result.stdout.splitlines() for name in json.loads(line)["event_names"]]


def never(*arguments: Any, **options: Any) -> Any:
    """Stand in for what must not be called."""
    raise AssertionError("the rules were converted")


@pytest.mark.parametrize("pipeline", [stellar_aws, stellar_aws_published])
@pytest.mark.parametrize("override", [Override(), Override(timedelta(0), ("userIdentity.arn",))])
def test_a_pack_is_found_as_it_was_kept(pipeline: Callable[[], Any], override: Override) -> None:
    """All that a pack says comes back, and compares equal."""
    pack = convert_pack(load_rules(), pipeline(), override=override)
    keep_pack("a" * 64, pack)
    assert find_pack("a" * 64) == pack._replace(doubts=())
    assert find_pack("b" * 64) is None


def test_correlations_are_kept(tmp_path: Path) -> None:
    """What they count, and the rules that do not alert by themselves."""
    counted = RULE.replace("title: Key", "title: Key\nname: key") % "CreateKey"
    correlation = """---
title: Many keys
id: 9f1f6f0e-3b0f-4d0a-9f0e-6d6a0f1c2b3a
correlation: {type: value_count, rules: [key], group-by: [sourceIPAddress], timespan: 1h,
  condition: {gte: 3, field: recipientAccountId}}
"""
    file = tmp_path / "many.yml"
    file.write_text(counted + correlation, encoding="utf-8")
    pack = convert_pack(load_rules(file), stellar_aws())
    assert pack.correlations
    assert pack.silent
    keep_pack("c" * 64, pack)
    assert find_pack("c" * 64) == pack._replace(doubts=())


def test_a_second_run_converts_nothing(alerts: Alerts, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alerts are the same, and nobody else can read the rules."""
    first = names(alerts())
    monkeypatch.setattr("sigma_stellar_aws.cli.alert_options.pack_of", never)
    assert names(alerts()) == first == ["CreateKey"]
    [file] = folder.iterdir()
    if os.name == "posix":
        assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_second_run_loads_no_pysigma(logs: Path, rules: Path) -> None:
    """That is what takes most of the time of a run over few files."""
    script = (
        "import sys; from sigma_stellar_aws.cli import main\n"
        f"sys.argv = ['x', 'alerts', {str(logs)!r}, '--rules', {str(rules)!r}, '--json']\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'sigma', 'yaml', 'rich'} & {*sys.modules}), file=sys.stderr)"
    )
    for expected in ("['rich', 'sigma', 'yaml']", "[]"):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1].replace("'rich', ", "") == expected.replace("'rich', ", "")


def test_an_edited_rule_is_converted(alerts: Alerts, rules: Path) -> None:
    """Also where its size and its times are as before; and the old text finds the old pack again."""
    file = rules / "key.yml"
    file.write_text(RULE % "CreateKeys", encoding="utf-8")
    before = file.stat()
    assert names(alerts()) == []
    file.write_text(RULE % "CreateAlia", encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert names(alerts()) == []
    file.write_text(RULE % "CreateAlias", encoding="utf-8")
    assert names(alerts()) == ["CreateAlias"]
    file.write_text(RULE % "CreateKey", encoding="utf-8")
    assert names(alerts()) == ["CreateKey"]
    (rules / "more.yaml").write_text(RULE.replace("7f1f", "8f1f") % "CreateAlias", encoding="utf-8")
    assert sorted(names(alerts())) == ["CreateAlias", "CreateKey"]
    file.unlink()
    assert names(alerts()) == ["CreateAlias"]


def test_an_edited_filter_is_applied(alerts: Alerts, tmp_path: Path) -> None:
    """A filter is a part of the rules."""
    file = tmp_path / "filter.yml"
    text = (
        "title: F\nlogsource: {product: aws, service: cloudtrail}\n"
        "filter: {rules: any, selection: {eventName: %s}, condition: not selection}\n"
    )
    file.write_text(text % "CreateKey", encoding="utf-8")
    assert names(alerts("--filter", str(file))) == []
    file.write_text(text % "CreateAlias", encoding="utf-8")
    assert names(alerts("--filter", str(file))) == ["CreateKey"]


def test_other_options_make_another_pack(alerts: Alerts, rules: Path) -> None:
    """Each option that changes what is asked, or when it alerts, is a part of the key."""
    (rules / "key.yml").write_text(RULE % "createkey", encoding="utf-8")
    assert names(alerts()) == ["CreateKey"]
    assert names(alerts("--case-sensitive")) == []
    windows = [
        json.loads(alerts(*given).stdout)["suppression"] for given in ((), ("--window", "1h"), ("--each-event",))
    ]
    assert len({json.dumps(each) for each in windows}) == 3
    assert json.loads(alerts("--suppress-by", "eventName").stdout)["suppression"]["key"] == {"eventName": "CreateKey"}


def test_chosen_rules_depend_on_where_we_are(
    alerts: Alerts, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule may be chosen by a path that means another file elsewhere."""
    (rules / "more").mkdir()
    (rules / "more" / "key.yml").write_text(RULE.replace("7f1f", "8f1f") % "CreateAlias", encoding="utf-8")
    monkeypatch.chdir(rules)
    assert names(alerts("--only", "./key.yml")) == ["CreateKey"]
    monkeypatch.chdir(rules / "more")
    assert names(alerts("--only", "./key.yml")) == ["CreateAlias"]


@pytest.mark.parametrize("what", ["version", "code"])
def test_another_version_converts_anew(alerts: Alerts, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack of another version of this package, or of other code of it or of pySigma, is not taken."""
    assert names(alerts()) == ["CreateKey"]
    if what == "version":
        monkeypatch.setattr(pack_cache, "__version__", "9.9.9")
    else:
        real = pack_cache._code
        monkeypatch.setattr(pack_cache, "_code", lambda: [*real()][1:])
    monkeypatch.setattr("sigma_stellar_aws.cli.alert_options.pack_of", never)
    assert isinstance(alerts().exception, AssertionError)


def test_the_code_of_pysigma_is_a_part_of_the_key() -> None:
    """Of this package, of pySigma, and of the backend that ours is compared with."""
    files = {name for name, _ in pack_cache._code()}
    for end in (
        "query/dsl.py",
        "sigma/rule/rule.py",
        "elasticsearch/elasticsearch_lucene.py",
        "cloudtrail_fields.json",
    ):
        assert any(name.replace(os.sep, "/").endswith(end) for name in files) or end.endswith(".json"), end


def damages(content: bytes) -> list[bytes]:
    """What may become of a file."""
    half = len(content) // 2
    other = content.replace(b"CreateKey", b"CreateKex")
    return [b"", b"\n", content[:half], content[half:], content + b" ", b"\0" * len(content), other]


def test_a_damaged_file_counts_as_missing(alerts: Alerts, folder: Path) -> None:
    """It is replaced by a good one."""
    assert names(alerts()) == ["CreateKey"]
    [file] = folder.iterdir()
    good = file.read_bytes()
    for damaged in damages(good):
        file.write_bytes(damaged)
        assert names(alerts()) == ["CreateKey"]
        assert file.read_bytes() == good


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes")
def test_what_others_could_have_written_counts_as_missing(alerts: Alerts, folder: Path, tmp_path: Path) -> None:
    """A folder or a file that others can write, and a link to elsewhere."""
    assert names(alerts()) == ["CreateKey"]
    [file] = folder.iterdir()
    key = file.name.partition(".")[0]
    assert find_pack(key) is not None
    for path, mode in ((folder, 0o777), (file, 0o666)):
        before = path.stat().st_mode
        path.chmod(mode)
        assert find_pack(key) is None
        path.chmod(before)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert find_pack(key) is None
    assert names(alerts()) == ["CreateKey"]


def _linked(file: Path, other: Path) -> None:
    other.write_bytes(b"precious")
    file.symlink_to(other)


@pytest.mark.skipif(os.name != "posix", reason="there are no such files")
@pytest.mark.parametrize(
    "put",
    [_linked, lambda file, _: os.mkfifo(file), lambda file, _: (file.touch(), file.chmod(0o666))],
    ids=["link", "pipe", "writable by others"],
)
def test_what_is_not_trusted_is_replaced(
    alerts: Alerts, folder: Path, tmp_path: Path, put: Callable[[Path, Path], object]
) -> None:
    """What stands in the place of a pack is not waited for, not written through, and gone for the next run."""
    assert names(alerts()) == ["CreateKey"]
    [file] = folder.iterdir()
    good = file.read_bytes()
    file.unlink()
    put(file, tmp_path / "other")
    assert names(alerts()) == ["CreateKey"]
    assert find_pack(file.name.partition(".")[0]) is not None
    assert (file.is_symlink(), file.read_bytes(), file.stat().st_mode & 0o777) == (False, good, 0o600)
    assert not (tmp_path / "other").exists() or (tmp_path / "other").read_bytes() == b"precious"


@pytest.mark.parametrize("setting", ["off", "OFF", "a file", "a file/below"])
def test_nothing_is_kept_where_it_is_off_or_cannot_be(
    alerts: Alerts, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run goes on without."""
    (tmp_path / "a file").write_text("", encoding="utf-8")
    monkeypatch.setenv(CACHE, setting if setting.lower() == "off" else str(tmp_path / setting))
    monkeypatch.chdir(tmp_path)
    assert names(alerts()) == names(alerts()) == ["CreateKey"]
    assert not list(tmp_path.rglob("*.pack.json"))


def test_two_processes_at_once(logs: Path, rules: Path, folder: Path) -> None:
    """Both convert and keep the pack; whichever is last, it is whole."""
    command = [sys.executable, "-m", "sigma_stellar_aws", "alerts", str(logs), "--rules", str(rules), "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert len(outputs) == 1
    [file] = folder.iterdir()
    assert isinstance(find_pack(file.name.partition(".")[0]), Pack)


def test_what_is_left_out_is_told_in_every_run(alerts: Alerts, rules: Path) -> None:
    """A rule that cannot be converted is a problem of the next run, too; and an error if strict."""
    (rules / "refused.yml").write_text(REFUSED, encoding="utf-8")
    first, second = alerts(), alerts()
    assert first.exit_code == second.exit_code == 3
    assert "look-ahead" in first.stderr
    assert second.stderr == first.stderr
    assert alerts("--strict").exit_code == alerts("--strict").exit_code == 1


def test_a_rule_that_is_edited_while_it_is_read_is_not_kept(
    alerts: Alerts, rules: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is of another text than the pack, maybe."""

    def edited(*arguments: Any) -> Pack:
        (rules / "key.yml").write_text(RULE % "CreateAlias", encoding="utf-8")
        return pack_of(*arguments)

    monkeypatch.setattr("sigma_stellar_aws.cli.alert_options.pack_of", edited)
    assert names(alerts()) == ["CreateKey"]
    assert not folder.exists()


def test_few_packs_are_kept(folder: Path) -> None:
    """Those that were used last."""
    pack = Pack({"exists": {"field": "a"}}, {}, [], (), [])
    for number in range(MOST_PACKS):
        keep_pack(f"{number:064}", pack)
        os.utime(folder / f"{number:064}.pack.json", ns=(number, number))
    assert find_pack(f"{0:064}") == pack
    keep_pack("a" * 64, pack)
    assert find_pack(f"{0:064}") == pack
    assert find_pack(f"{1:064}") is None
    assert len(list(folder.iterdir())) == MOST_PACKS


def test_a_file_that_cannot_be_read_has_no_key(tmp_path: Path) -> None:
    """The error is told by who reads the rules."""
    assert pack_key([tmp_path / "gone.yml"], [], ()) is None
