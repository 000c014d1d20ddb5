"""Runs inside django-hordak's own environment: splits what comes as JSON, and answers with results and time.

Input: a list of [total fen, [weights]]; output: a list of [shares in fen, processor seconds].
"""

import json
import sys
import time
from decimal import Decimal

from django.conf import settings

settings.configure(INSTALLED_APPS=[], USE_I18N=False)

from hordak.utilities.money import ratio_split  # noqa: E402, it reads the settings when it is imported

answers = []
for total, weights in json.load(sys.stdin):
    amount, ratios = Decimal(total) / 100, [Decimal(weight) for weight in weights]
    start = time.process_time()
    shares = ratio_split(amount, ratios, Decimal("0.01"))
    answers.append([[int(share * 100) for share in shares], time.process_time() - start])
json.dump(answers, sys.stdout)
