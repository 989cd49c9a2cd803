"""How bad it is when a rule about queues does not hold, in the labels of the AWS Security Finding Format.

It belongs to the danger, not to the mode: a public queue is as public when the rule only warns. Where AWS Security Hub
publishes the same control, its severity is taken over: SQS.3 is critical, SQS.1 medium.
"""

from __future__ import annotations

from safe_sqs.judge import QUEUE_ATTRIBUTES

__all__ = ["SCORES", "SEVERITIES"]

SEVERITIES: dict[str, str] = {
    "queue-encryption": "MEDIUM",
    "public-access": "CRITICAL",
    "dead-letter-queue": "HIGH",
    "least-privilege": "MEDIUM",
    "tls-only-policy": "MEDIUM",
    "vpc-only-policy": "MEDIUM",
    QUEUE_ATTRIBUTES: "MEDIUM",
}

SCORES: dict[str, str] = {"CRITICAL": "9.5", "HIGH": "8.0", "MEDIUM": "5.5", "LOW": "3.0"}
"""The same for GitHub code scanning, whose `security-severity` is on the scale of CVSS: critical over 9.0, high from
7.0, medium from 4.0."""
