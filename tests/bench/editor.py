"""How long an editor waits: completion, hover and diagnostics in a file of 200 lines, at every line of it."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sigma_stellar_aws.editor.completion import complete
from sigma_stellar_aws.editor.diagnostics import findings_of_text
from sigma_stellar_aws.editor.fixes import fixes_of
from sigma_stellar_aws.editor.folders import RuleFolders
from sigma_stellar_aws.editor.hover import hover
from sigma_stellar_aws.editor.text_positions import line_end, line_starts
from sigma_stellar_aws.rule_files.load import pack_path

LINES = 200
LIMIT_MS = 50


def text_of_rules() -> str:
    """Rules of the pack, one after another, until there are enough lines."""
    text = ""
    for file in sorted(pack_path().glob("*.yml")):
        text += ("---\n" if text else "") + file.read_text(encoding="utf-8")
        if text.count("\n") >= LINES:
            break
    return "".join(text.splitlines(keepends=True)[:LINES])


def main() -> None:
    """Time each question at the end of every line, after a letter was added there, so that nothing is remembered."""
    text = text_of_rules()
    folders = RuleFolders([pack_path()])
    folders.refresh()
    others = folders.others(None, {})
    path = Path("aws_written_now.yml")
    ends = [line_end(text, line) for line in range(len(line_starts(text)) - 1)]

    def check(typed: str, offset: int) -> object:
        return [fixes_of(typed, finding) for finding in findings_of_text(path, typed, others)]

    questions: dict[str, Callable[[str, int], object]] = {
        "completion": complete,
        "hover": lambda typed, offset: hover(typed, offset - 2),
        "diagnostics and fixes": check,
    }
    for name, ask in questions.items():
        times: list[float] = []
        for end in ends:
            typed = f"{text[:end]}e{text[end:]}"
            start = time.perf_counter()
            ask(typed, end + 1)
            times.append(1000 * (time.perf_counter() - start))
        times.sort()
        slow = sum(each > LIMIT_MS for each in times)
        print(
            f"{name:<22} median {median(times):6.1f} ms, 95th percentile {times[int(len(times) * 0.95)]:6.1f} ms, "
            f"slowest {times[-1]:6.1f} ms; {slow} of {len(times)} over {LIMIT_MS} ms"
        )


if __name__ == "__main__":
    main()
