"""Hits as rows: what is read is what was found, in order of time."""

import random
from collections.abc import Iterator

import pytest

from sigma_stellar_aws.alerts.hit_rows import HitRowReader, HitRowWriter
from sigma_stellar_aws.alerts.hits import Hit
from sigma_stellar_aws.alerts.sorted_hits import SortedHits
from sigma_stellar_aws.base.kept_texts import KeptTexts, TextChunks, new_writer

EVENT_ID = "6f0c7a2e-9d8b-4c1f-8a35-2b7e1d4c9f60"
PLAIN = Hit(
    1_700_000_000_000,
    f"{EVENT_ID}-0123456789abcdef",
    EVENT_ID,
    "s",
    "n",
    "",
    "a",
    "192.0.2.1",
    "1",
    "r",
    "logs/a.json.gz",
    (("rule", ("x", None)), ("other", ())),
    (("field", ("y", "z")),),
    7,
    True,
)
HITS = {
    "plain": PLAIN,
    "without a time": PLAIN._replace(time=None),
    "the eventID alone": PLAIN._replace(identity=EVENT_ID),
    "an eventID that is not a UUID": PLAIN._replace(identity="0" * 64, event_id="REDACTED"),
    "an empty eventID": PLAIN._replace(identity="0" * 64, event_id=""),
    "an eventID of another length": PLAIN._replace(event_id=EVENT_ID[:20]),
    "a line break": PLAIN._replace(identity="0" * 64, event_id="a\nb", actor="c\nd", origin="e\nf"),
    "half a character": PLAIN._replace(actor="\ud800", event_id="\udfff", origin="\udcff.json"),
    "half a character in a key": PLAIN._replace(matches=(("rule", ("\ud83d",)),)),
    "other letters": PLAIN._replace(actor="é\u2028😀", origin="é.json"),
}


@pytest.mark.parametrize("hit", HITS.values(), ids=HITS)
def test_a_hit_is_read_as_it_was(hit: Hit) -> None:
    """A row loses nothing of a hit, whatever its texts are."""
    kept = KeptTexts()
    [row, again] = map(HitRowWriter(kept.add).row, [hit, hit._replace(time=5)])
    assert row.common == again.common
    assert HitRowReader(kept).hit(row) == hit
    hits = SortedHits(kept)
    hits.extend([hit, hit])
    assert len(hits) == 2
    assert [*hits] == [*hits] == [hit, hit]


def test_the_order_is_that_of_time_and_identity() -> None:
    """Hits of several writers are read in order of time, copies one after the other, those without a time last."""
    kept = KeptTexts()
    hits = SortedHits(kept)
    chance = random.Random(5)
    made = [
        PLAIN._replace(
            time=chance.choice([None, *range(5)]),
            identity=f"{chance.randrange(3)}",
            event_id="e",
            actor=f"a{number % 7}",
        )
        for number in range(500)
    ]

    def rows(some: list[Hit]) -> Iterator[None]:
        chunks = TextChunks(new_writer())
        writer = HitRowWriter(chunks.add)
        for hit in some:
            hits.add_rows([writer.row(hit)])
            yield
        kept.extend(chunks.taken())

    for _ in (*rows(made[:200]), *rows(made[200:400])):
        pass
    hits.extend(made[400:])
    assert [*hits] == sorted(made, key=lambda hit: (hit.time is None, hit.time or 0, hit.identity))


def test_parts_that_hits_have_in_common_are_kept_once() -> None:
    """A thousand events of three kinds take the room of three."""
    texts: list[bytes] = []

    def add(text: bytes) -> int:
        texts.append(text)
        return len(texts)

    writer = HitRowWriter(add)
    for number in range(1000):
        writer.row(PLAIN._replace(time=number, event=number, actor=f"a{number % 3}"))
    assert len(texts) == len(set(texts)) == 4
