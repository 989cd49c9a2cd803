"""Queue policies before they are deployed: inside of CloudFormation templates (by hand, SAM, CDK), Terraform plans and
states, answers of the AWS CLI, or alone in a file. Text in, policies out, and from these evaluations.
"""

from __future__ import annotations

from safe_sqs.templates.cloudformation import Place
from safe_sqs.templates.errors import TemplateError
from safe_sqs.templates.found import FoundPolicy, Kind
from safe_sqs.templates.judging import evaluate
from safe_sqs.templates.recognise import find

__all__ = ["FoundPolicy", "Kind", "Place", "TemplateError", "evaluate", "find"]
