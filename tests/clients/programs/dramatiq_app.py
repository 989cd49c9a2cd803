"""dramatiq over SQS: sends a message, or works one off in a worker of its own."""

import json
import logging
import os
import queue
import sys

import dramatiq
from dramatiq.middleware import default_middleware
from dramatiq_sqs import SQSBroker

