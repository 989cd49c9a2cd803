"""What safe_sqs costs, against boto3 without it.

Measures, in CPU time and with the network stubbed at the HTTP session of each client:

  - whole calls: SendMessage, SendMessageBatch and ReceiveMessage with ten messages, guarded against not guarded;
  - the guard's handlers alone, by emitting the events of a real call, less the same on a client without guard;
  - a fresh interpreter that imports safe_sqs and makes a client, against one that does so with boto3; and, for what
    is put off until then, with a first send as well.

Everything is interleaved in short rounds in one process, against the mean of two clients without guard, and medians
are taken. The column "two without" compares these two: what it differs from no difference by is noise. Both for
temporary credentials as they come from the environment, and for credentials that a provider renews.

A machine that does other work at the same time makes all of it less certain; the figure
under "+-" is the standard error.

Examples:
  python benchmarks/overhead.py                    # about a minute
  python benchmarks/overhead.py --quick            # about fifteen seconds
  python benchmarks/overhead.py --json cost.json   # the figures, and what they were measured on, as JSON too

The exit status is 0 whether or not the goals are met: a busy machine is no fault of the code.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from record import describe_machine

from safe_sqs.demo.cost import FULL, SHORT, Figure, Rounds, measure_all


def main() -> None:
    arguments = parse()
    measured_on = describe_machine()
    for name, value in measured_on.items():
        print(f"{name:<10}{value}")
    print(f"\n{'what':<38}{'guarded':>16}{'+-':>8}{'two without':>14}{'goal':>8}")
    figures = []
    for figure in measure_all(rounds_of(arguments)):
        figures.append(figure)
        print(line(figure), flush=True)
    if arguments.json:
        result = {"measured_on": measured_on, "figures": [as_json(figure) for figure in figures]}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    # For the tests, which want to see that everything runs and not what it costs.
    parser.add_argument("--rounds", type=int, nargs=6, metavar="N", help=argparse.SUPPRESS)
    return parser.parse_args()


def rounds_of(arguments: argparse.Namespace) -> Rounds:
    if arguments.rounds:
        return Rounds(*arguments.rounds)
    return SHORT if arguments.quick else FULL


def line(figure: Figure) -> str:
    value = f"{figure.value:.3f}{' us' if figure.unit == 'us' else ' x '}"
    goal = "" if figure.goal is None else f"{figure.goal:.2f}"
    verdict = {True: "met", False: "not met", None: ""}[figure.is_met]
    plain = f"   ({figure.plain})" if figure.plain else ""
    return (
        f"{figure.what:<38}{value:>16}{figure.error:>8.3f}{figure.control:>14.3f}{goal:>8}  {verdict}{plain}".rstrip()
    )


def as_json(figure: Figure) -> dict[str, object]:
    return {**figure._asdict(), "is_met": figure.is_met}


if __name__ == "__main__":
    main()
