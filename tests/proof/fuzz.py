"""Fuzz guided by coverage, with atheris: of the parser and the judge. `python -m proof.fuzz --seconds 300`.

Starts from the policies of the corpus. What raises something else than PolicyError, or takes longer than five seconds,
is saved in the folder of findings, and makes the exit code other than 0.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["safe_sqs.policy"]):
    from proof.mutations import PLACES, asked, corpus, mutated

_LONGEST = 8192
"""Bytes: the longest policy that SQS takes."""


def target(data: bytes) -> None:
    """Judges one input as the text of a policy."""
    asked(data.decode("utf-8", "surrogateescape"))


def main() -> None:
    """Fuzzes for some time; libFuzzer prints how far it came, and ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--findings", type=Path, default=Path("build/findings"))
    options = parser.parse_args()
    options.findings.mkdir(parents=True, exist_ok=True)
    policies = corpus()

    def mutator(data: bytes, longest: int, seed: int) -> bytes:
        rng = Random(seed)
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if document is None or rng.random() < 0.3:
            return bytes(atheris.Mutate(data, longest))
        return mutated(rng, document, rng.choice(PLACES), policies).encode("utf-8", "replace")[:longest]

    with TemporaryDirectory() as folder:
        for index, document in enumerate(policies):
            (Path(folder) / f"{index}.json").write_text(json.dumps(document), encoding="utf-8")
        limits = [f"-max_total_time={options.seconds}", "-timeout=5", f"-max_len={_LONGEST}"]
        told = ["-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={options.findings}/"]
        atheris.Setup([sys.argv[0], *limits, *told, folder], target, custom_mutator=mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
