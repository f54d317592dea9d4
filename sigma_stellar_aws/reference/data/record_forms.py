"""How CloudTrail names what is in a request or a response, by the protocol of the service and what is known of it.

Where records have a name in several ways, all of them are kept: a name too many hides a slip of a rule's author, a
name too few would call a rule wrong that is right. Those that nobody has seen are kept apart, as not to be proposed.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from sigma_stellar_aws.reference.data.service_models import ModelMember, ModelShape, ServiceModel

RecordForm: TypeAlias = Literal["small", "capital", "either", "ec2", "ec2 answer", "ec2 wire", "xml"]
"""With a small first letter, a capital one, or either; as requests and answers of EC2's old SOAP API, and as its newer
requests are sent; as S3's XML."""

XML_ATTRIBUTES = ("xmlns", "xmlns:xsi", "xsi:type")
"""Attributes that stand beside elements where XML becomes JSON."""


class RecordNames(NamedTuple):
    """The names that a member can have in records."""

    usual: tuple[str, ...]
    also: tuple[str, ...] = ()
    """Names that may occur, but that nobody should be told to write."""


class Spelling(NamedTuple):
    """What is known of the names that services use, from aws_parameters_extra.yml."""

    small: frozenset[str] = frozenset()
    """Sources whose records have names with a small first letter, and none with a capital one."""
    capital: frozenset[str] = frozenset()
    """Sources whose records have the names as they are in the model."""
    ec2_lists: Mapping[str, str] = {}
    """Lists of EC2's requests, and the name that a text has in them."""

    def form(self, model: ServiceModel) -> RecordForm:
        """Return how the records of a service write names."""
        if model.metadata.protocol == "ec2":
            return "ec2"
        if model.sources() & self.capital:
            return "capital"
        return "small" if model.sources() & self.small else "either"

    def names(self, key: str, member: ModelMember, shape: ModelShape, form: RecordForm) -> RecordNames:
        """Return the names of a member that a model calls by a key."""
        sent = member.location_name or key
        if form == "xml":
            return RecordNames((sent,))
        if form in ("ec2", "ec2 answer"):
            return self._ec2_names(key, member, shape)
        if form == "ec2 wire":
            names = (capital(member.query_name or sent), capital(sent), capital(key))
            return _distinct(names[:1], names[1:])
        usual = {"capital": (key,), "small": (small(key),), "either": (small(key),)}[form]
        return _distinct(usual, (small(sent), *(() if form == "small" else (small(key), key, sent))))

    def _ec2_names(self, key: str, member: ModelMember, shape: ModelShape) -> RecordNames:
        sent = member.location_name or key
        names = dict.fromkeys(small(name) for name in (sent, key, member.query_name or sent))
        if shape.type != "list":
            return _distinct(tuple(names)[:1], tuple(names))
        roots = dict.fromkeys(re.sub(r"(Id|Name)?s?$", "", name) for name in names)
        sets = [f"{name}{end}" for name in (*names, *roots) for end in ("Set", "sSet")]
        # The model has the name of the SOAP API where it begins with a small letter.
        known = [sent] if sent[0].islower() else [name for name in sets if name in self.ec2_lists]
        # Lists of ids and names are never written as in the model; others, as tags, may be.
        plain = () if known and key.endswith(("Ids", "Names")) else tuple(names)
        return _distinct(tuple(known or names)[:1], (*plain, *sets))

    def ec2_item_names(self, names: RecordNames) -> RecordNames:
        """Return the names of a text in a list of EC2 that has some names itself."""
        known = [self.ec2_lists[name] for name in names.usual if name in self.ec2_lists]
        plain = [name for name in names.also + names.usual if not name.endswith("Set")]
        roots = [re.sub(r"(Id|Name)?s?$", "", name) for name in plain]
        ends = [f"{root}{end}" for root in roots for end in ("", "Id", "Name")]
        return _distinct((*known, *([] if known else plain[:1])), (*plain, *ends, "value"))


def small(name: str) -> str:
    """Return a name with a small first letter.

    >>> small("SAMLMetadataDocument")
    'sAMLMetadataDocument'
    """
    return name[:1].lower() + name[1:]


def capital(name: str) -> str:
    """Return a name with a capital first letter."""
    return name[:1].upper() + name[1:]


def is_s3(model: ServiceModel) -> bool:
    """Tell whether requests are recorded as S3 does it."""
    return model.metadata.endpoint_prefix in ("s3", "s3-control")


def _distinct(usual: tuple[str, ...], also: tuple[str, ...]) -> RecordNames:
    kept = tuple(dict.fromkeys(usual))
    return RecordNames(kept, tuple(name for name in dict.fromkeys(also) if name not in kept))
