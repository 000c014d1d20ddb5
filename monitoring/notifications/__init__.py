"""Who is told of alarms, when, and in which words: subscriptions, outbox, digest.

From outside: `subscriptions` (what a person wants), `outbox` (queue, compose, claim, settle). Nothing here
talks to a mail server or a robot; that is done above, with the money joined in.
"""
