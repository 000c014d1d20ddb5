"""The embedded MQTT broker of the demo and of simulations.

Owns starting and stopping amqtt in process, on a loopback address. Real installations use Mosquitto or
EMQX with the settings in `deploy/`: this broker keeps nothing over a restart.
"""

import logging

from amqtt.broker import Broker

for _name in ("amqtt", "transitions"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class EmbeddedBroker:
    """One broker on one address; start and stop it in the same event loop."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = port
        self._broker: Broker | None = None

    async def start(self) -> None:
        """Listen; raises amqtt's BrokerError when the port is taken."""
        self._broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
                "plugins": {
                    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
                },
            }
        )
        await self._broker.start()

    async def stop(self) -> None:
        """Close every connection and the listener."""
        if self._broker is not None:
            await self._broker.shutdown()
            self._broker = None
