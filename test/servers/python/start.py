"""LocalStack as its own command starts it, but on loopback only: it ignores the
host of GATEWAY_LISTEN for IPv4."""

from twisted.internet import endpoints


class Loopback(endpoints.TCP4ServerEndpoint):
    def __init__(self, reactor, port):
        super().__init__(reactor, port, interface="127.0.0.1")


endpoints.TCP4ServerEndpoint = Loopback

from localstack.runtime.main import main  # noqa: E402

main()
