"""The table of AWS event names, what makes it, and the questions that are asked of it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
import pytest

from sigma_stellar_aws.base.json_types import Json
from sigma_stellar_aws.base.text import nearest
from sigma_stellar_aws.reference.aws_events import (
    COMMON_SOURCES,
    IAM_ACTIONS,
    IDENTITY_TYPES,
    MISNAMED_SOURCES,
    all_names,
    canonical_event_name,
    common,
    instead,
    known,
    names,
    nearest_source,
    sources,
    sources_of,
    spellings,
    table,
)
from sigma_stellar_aws.reference.data.make_aws_events import EXTRA, TABLE, extra
from sigma_stellar_aws.reference.data.make_aws_events import table as made
from sigma_stellar_aws.reference.data.service_models import (
    BOTOCORE,
    ServiceModel,
    installed_botocore,
    service_models,
)
from tests.samples.make import log_files
from tests.support.yaml_files import read_yaml

RULES = Path(__file__).parents[2] / "rules"
README = TABLE.with_name("README.md")


def aws(prefix: str) -> str:
    """The eventSource of a prefix."""
    return f"{prefix}.amazonaws.com"


def literals(node: Json, field: str) -> Iterator[tuple[str, str]]:
    """Key (with its modifiers) and value of every condition on a field, anywhere in a detection."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key.split("|")[0] == field:
                yield from ((key, str(one)) for one in (value if isinstance(value, list) else [value]))
            yield from literals(value, field)
    elif isinstance(node, list):
        for value in node:
            yield from literals(value, field)


def test_shipped_table_is_the_one_that_the_generator_makes() -> None:
    """With the botocore that the table was made of, making it again gives the same bytes."""
    if installed_botocore() != BOTOCORE:
        pytest.skip(f"botocore {BOTOCORE} is not installed")
    assert TABLE.read_bytes() == made(chain.from_iterable(service_models()), extra(), BOTOCORE).encode()


def test_table_tells_the_version_that_generator_and_readme_name() -> None:
    """The version of botocore stands in three places, and is the same in all."""
    assert table().botocore == BOTOCORE
    assert f"botocore=={BOTOCORE}" in README.read_text(encoding="utf-8")


def test_generator_says_what_to_install(tmp_path: Path) -> None:
    """Without botocore the command ends with one sentence that names the package, not with a traceback."""
    code = (
        "import importlib.util, runpy; real = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'botocore' else real(name, *rest);"
        "runpy.run_module('sigma_stellar_aws.reference.data.make_aws_events', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert f"pip install botocore=={BOTOCORE}" in done.stderr
    assert "Traceback" not in done.stderr


def test_model_gives_both_candidates_for_its_source() -> None:
    """Signing name and endpoint both count, in small letters; one alone gives one source."""
    both = {"endpointPrefix": "api.tunneling.iot", "signingName": "IoTSecuredTunneling"}
    model = msgspec.convert({"metadata": both, "operations": {}}, ServiceModel)
    assert model.sources() == {"api.tunneling.iot.amazonaws.com", "iotsecuredtunneling.amazonaws.com"}
    model = msgspec.convert({"metadata": {"endpointPrefix": "monitoring"}, "operations": {}}, ServiceModel)
    assert model.sources() == {"monitoring.amazonaws.com"}


def test_every_source_and_name_is_well_formed() -> None:
    """Sources are in small letters below amazonaws.com, names are letters, digits and underscores, and sorted."""
    for source, joined in table().sources.items():
        assert re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com", source)
        listed = joined.split(" ")
        assert listed == sorted(set(listed))
        assert [name for name in listed if not re.fullmatch(r"[A-Za-z]\w+", name, re.ASCII)] == []
    assert sum(len(names(source)) for source in sources()) > 20_000


def test_what_is_recorded_instead_exists() -> None:
    """Every substitute is a known name, under the same source if one is given, and what it stands for is none."""
    for source, substitutes in table().instead.items():
        for name, recorded in substitutes.items():
            assert not known(source, name)
            assert [one for one in recorded.split(" or ") if not known(source, one)] == []
    for action, recorded in IAM_ACTIONS.items():
        assert sources_of(action) == []
        assert recorded == "" or sources_of(recorded)


def test_identity_types_are_no_event_names() -> None:
    """No value of userIdentity.type can be taken for an event name."""
    assert [kind for kind in IDENTITY_TYPES if sources_of(kind)] == []


def test_misnamed_sources_lead_to_known_ones() -> None:
    """Each hint for a wrong eventSource is a known source and differs from the wrong one."""
    for wrong, right in MISNAMED_SOURCES.items():
        assert wrong != right
        assert aws(right) in sources()


def test_common_sources_are_preferred() -> None:
    """The sources that rules are mostly about are known, and are named first where a name has many."""
    assert sources() >= COMMON_SOURCES
    assert common(sources_of("CreateUser")) == [aws("elasticache"), aws("iam")]
    assert common([aws("workmail"), aws("chime")]) == [aws("chime"), aws("workmail")]
    assert common([]) == []


def test_extra_entries_have_a_place_to_read() -> None:
    """Every entry of the extra list has a reason and an https address, and adds no name twice within itself."""
    parts = extra()
    for entry in [*parts.events, *parts.same_names, *parts.small_letter, *parts.never, *parts.instead]:
        assert entry.why.endswith(".")
        assert entry.url.startswith("https://")
    for added in [*(entry.names for entry in parts.events), *(entry.names for entry in parts.retired)]:
        for listed in added.values():
            assert listed == sorted(set(listed))


def test_extra_list_has_no_unknown_part() -> None:
    """A part of the extra list that the generator does not read would be lost in silence; there is none."""
    assert set(read_yaml(EXTRA)) == set(type(extra()).__struct_fields__)


def test_rules_use_known_pairs_only() -> None:
    """Every eventName of a rule exists under one of its sources, also where it is the beginning of a name."""
    unknown = []
    for path in sorted(RULES.glob("*.yml")):
        detection = read_yaml(path)["detection"]
        found = {source for _, source in literals(detection, "eventSource")}
        assert found
        assert found <= sources()
        for key, name in literals(detection, "eventName"):
            beginnings = key == "eventName|startswith"
            if not any(
                any(spelling.startswith(name) for spelling in spellings(source)) if beginnings else known(source, name)
                for source in found
            ):
                unknown.append((path.name, name))
    assert unknown == []


def test_sample_events_are_known_pairs() -> None:
    """Every record of the samples, test cases and background alike, has a known source and name."""
    pairs = {(str(record["eventSource"]), str(record["eventName"])) for record in chain(*log_files().values())}
    assert len(pairs) > 100
    assert [pair for pair in sorted(pairs) if not known(*pair)] == []


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("wafv2", "DeleteRuleGroup"),
        ("wafv2", "DeleteWebACL"),
        ("waf", "DeleteRule"),
        ("waf-regional", "DeleteRule"),
        ("waf-regional", "DeleteRuleGroup"),
        ("ses", "DeleteIdentity"),
        ("ses", "DeleteEmailIdentity"),
        ("sts", "AssumeRoot"),
        ("sts", "AssumeRoleWithSAML"),
        ("iam", "UpdateSAMLProvider"),
        ("events", "DisableRule"),
        ("monitoring", "DeleteAlarms"),
        ("elasticloadbalancing", "ApplySecurityGroupsToLoadBalancer"),
        ("ecr", "DescribeImageScanFindings"),
        ("s3", "PutBucketPublicAccessBlock"),
        ("s3", "CreateAccessPoint"),
        ("s3express", "PutObject"),
        ("signin", "PasswordRecoveryRequested"),
        ("sso", "Federate"),
        ("sso", "GetRoleCredentials"),
        ("edgekeyvaluestore", "PutKey"),
        ("kms", "RotateKey"),
        ("route53domains", "updateDomainContact"),
        ("opsworks", "CreateStack"),
        ("IAM", "CreateUser"),
        ("lambda", "UpdateFunctionCode"),
        ("lambda", "UpdateFunctionCode20150331"),
        ("lambda", "UpdateFunctionCode20150331v2"),
        ("lambda", "PublishLayerVersion20181031"),
        ("cloudfront", "CreateDistribution"),
        ("cloudfront", "CreateDistribution2020_05_31"),
        ("cloudfront", "CreateDistribution2014_11_06"),
    ],
)
def test_real_pairs_are_known(prefix: str, name: str) -> None:
    """What CloudTrail records is known, in every form that it takes."""
    assert known(aws(prefix), name)
    assert aws(prefix).lower() in sources_of(name)


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("wafv2", "DeleteRule"),
        ("sts", "AssumedRole"),
        ("sts", "UpdateSAMLProvider"),
        ("iam", "AssumeRoleWithSAML"),
        ("eventbridge", "DeleteRule"),
        ("cloudwatch", "DeleteAlarms"),
        ("route53", "DisableDomainTransferLock"),
        ("elasticache", "AuthorizeCacheSecurityGroupEgress"),
        ("elasticache", "Create Cache Security Group"),
        ("iam", "createUser"),
        ("s3", "PutPublicAccessBlock"),
        ("s3", "CreateBucket20150331"),
        ("lambda", "UpdateFunctionCode2015_03_31"),
        ("lambda", "UpdateFunctionCode20991231"),
        ("cloudfront", "CreateDistribution20150331"),
        ("iam", ""),
        ("", "CreateUser"),
    ],
)
def test_pairs_that_never_occur_are_not_known(prefix: str, name: str) -> None:
    """Names of other services, IAM actions, other case and wrong versions of an API are not known."""
    assert not known(aws(prefix), name)


def test_endpoints_that_are_no_event_source_are_unknown() -> None:
    """Where the signing name alone is the eventSource, the endpoint is not offered as one."""
    wrong = {aws(prefix) for prefix in ("email", "api.ecr", "api.sagemaker", "s3-control", "streams.dynamodb")}
    assert not wrong & sources()
    assert names(aws("email")) == frozenset()


def test_sources_of_a_name_are_sorted_and_complete() -> None:
    """A name of many services lists each of them, a name of none lists nothing."""
    found = sources_of("CreateCluster")
    assert found == sorted(found)
    assert {aws("ecs"), aws("eks"), aws("redshift")} <= set(found)
    assert sources_of("UpdateFunctionCode20150331v2") == [aws("lambda")]
    assert sources_of("NoSuchName") == []


def test_spellings_cover_what_is_known() -> None:
    """Each spelling of a source is known there, and the dated ones are among them."""
    for source in (aws("lambda"), aws("cloudfront"), aws("iam")):
        assert all(known(source, name) for name in spellings(source))
    assert "UpdateFunctionCode20150331v2" in spellings(aws("lambda"))
    assert "CreateDistribution2020_05_31" in spellings(aws("cloudfront"))
    assert spellings(aws("iam")) == names(aws("iam"))


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("CreateUser", None, "CreateUser"),
        ("createuser", None, "CreateUser"),
        ("CreateWorkgroup", None, "CreateWorkgroup"),
        ("CreateWorkgroup", aws("athena"), "CreateWorkGroup"),
        ("createworkgroup", aws("redshift-serverless"), "CreateWorkgroup"),
        ("createuser", aws("nothing"), "CreateUser"),
        ("updateFunctionCode20150331v2", None, "UpdateFunctionCode20150331v2"),
        ("createdistribution2020_05_31", aws("cloudfront"), "CreateDistribution2020_05_31"),
        ("updatedomaincontact", None, "UpdateDomainContact"),
        ("updateDomainContact", aws("route53domains"), "updateDomainContact"),
        ("createbucket20150331", None, None),
        ("Create User", None, None),
        ("", None, None),
    ],
)
def test_canonical_repairs_case_only(name: str, source: str | None, expected: str | None) -> None:
    """A slip of case is repaired, with the spelling of the source first; anything else is no known name."""
    assert canonical_event_name(name, source) == expected


@pytest.mark.parametrize(
    ("prefix", "name", "expected"),
    [
        ("iam", "PassRole", ""),
        ("s3", "ListAllMyBuckets", "ListBuckets"),
        ("lambda", "InvokeFunction", "Invoke"),
        ("kms", "ReEncryptFrom", "ReEncrypt"),
        ("s3", "PutLifecycleConfiguration", "PutBucketLifecycle"),
        ("elasticfilesystem", "PutLifecycleConfiguration", None),
        ("S3", "PutPublicAccessBlock", "PutBucketPublicAccessBlock or PutAccountPublicAccessBlock"),
        ("iam", "CreateUser", None),
    ],
)
def test_instead_tells_what_is_recorded(prefix: str, name: str, expected: str | None) -> None:
    """IAM actions and names of the SDK lead to the recorded name, under the source that they belong to."""
    assert instead(aws(prefix), name) == expected


@pytest.mark.parametrize(
    ("word", "among", "expected"),
    [
        ("AssumedRole", names(aws("sts")), "AssumeRole"),
        ("Create Cache Security Group", names(aws("elasticache")), "CreateCacheSecurityGroup"),
        ("create_user", names(aws("iam")), "CreateUser"),
        ("RevokeCacheSecurityGroupEgress", names(aws("elasticache")), "RevokeCacheSecurityGroupIngress"),
        ("abc", ["abd", "ABC"], "ABC"),
        ("PassRole", names(aws("iam")), None),
        ("anything", [], None),
        ("", names(aws("iam")), None),
    ],
)
def test_nearest_spelling(word: str, among: frozenset[str] | list[str], expected: str | None) -> None:
    """Case, blanks and underscores are looked through first, then close spellings; far ones give nothing."""
    assert nearest(word, among) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (aws("cloudwatch"), aws("monitoring")),
        (aws("eventbridge"), aws("events")),
        (aws("elasticsearch"), aws("es")),
        (aws("SSO-admin"), aws("sso")),
        ("iam", aws("iam")),
        ("guardduty.amazon.com", aws("guardduty")),
        (aws("gaurdduty"), aws("guardduty")),
        ("something.example.com", None),
        ("", None),
    ],
)
def test_nearest_source(source: str, expected: str | None) -> None:
    """A misnamed, misspelt or shortened eventSource leads to the one that was probably meant."""
    assert nearest_source(source) == expected


def test_all_names_are_those_of_the_sources() -> None:
    """The names without regard to the source are the names of all sources together."""
    assert all_names() == frozenset().union(*(names(source) for source in sources()))
