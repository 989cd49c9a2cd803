"""An AWS Config custom rule: the queues of an account, or of an organisation, judged by the same rules as everywhere.

AWS Config starts the function, in as many accounts as it has; `safe_sqs.aws_config.rule.handler` is its handler. The
templates beside it deploy it.
"""
