"""Messages on their way out: mail and webhooks, and the money that is joined into them.

From outside: `channels` (what the operator configured), `delivery` (one turn of composing and sending),
`worth` (what alarms cost). Who is told of what is `monitoring.notifications`'.
"""
