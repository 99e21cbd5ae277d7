"""The client and the real daemon."""

import os
import socket
import subprocess
import sys
import threading
import time
import unittest
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, TypeVar

from fantail import Fantail, FantailError, Outcome, SendRequest, Webhook, verify_standard, verify_terra

T = TypeVar("T")
SECRET = "a-secret-of-the-test"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def until(done: Callable[[], T]) -> T:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        value = done()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it never happened")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def open_client() -> Fantail:
    return Fantail(os.environ["FANTAIL_URL"], os.environ["FANTAIL_TOKEN"], reason="a test")


class Daemon(unittest.TestCase):
    developer = "python"
    genuine: List["tuple[str, Webhook]"] = []
    forged: List[Exception] = []

    @classmethod
    def setUpClass(cls) -> None:
        class Hooks(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    if self.path == "/terra":
                        webhook = verify_terra(["an-old-secret-of-acme", SECRET], self.headers, body)
                    else:
                        webhook = verify_standard(KEY, self.headers, body)
                    cls.genuine.append((self.path, webhook))
                    self.send_response(200)
                except Exception as error:
                    cls.forged.append(error)
                    self.send_response(401)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def stop() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        cls.addClassCleanup(stop)
        cls.url = f"http://127.0.0.1:{server.server_port}"
        cls.client = open_client()
        cls.addClassCleanup(cls.client.close)
        cls.document = {
            "developer": cls.developer,
            "destinations": [
                {"name": "app", "kind": "webhook", "settings": {"url": cls.url + "/terra", "secret": SECRET, "allow_http": True}},
                {
                    "name": "standard",
                    "kind": "webhook",
                    "events": ["sleep"],
                    "settings": {"url": cls.url + "/standard", "secret": KEY, "signing": "standard-webhooks", "allow_http": True},
                },
            ],
        }

    url: str
    client: Fantail
    document: Dict[str, Any]

    def refused(self, call: Callable[[], object]) -> FantailError:
        with self.assertRaises(FantailError) as raised:
            call()
        return raised.exception

    def test_1_documents(self) -> None:
        client, developer = self.client, self.developer
        self.assertTrue(client.put_developer(developer, self.document, dry_run=True)["dry_run"])
        self.assertEqual(client.put_developer(developer, self.document, if_version=0)["version"], 1)
        self.assertEqual(self.refused(lambda: client.put_developer(developer, self.document, if_version=7)).status, 412)
        document = client.developer(developer)
        self.assertTrue(document.version == 1 and "[redacted]" in document.text and SECRET not in document.text)
        self.assertEqual(self.refused(lambda: client.put_developer(developer, "developer: python\nfrobnicate: 1\n")).faults[0]["line"], 2)
        third = f'name: third\nkind: webhook\nsettings: {{ url: "{self.url}/x", secret: "{SECRET}", allow_http: true }}\n'
        client.put_destination(developer, "third", third)
        self.assertIn("third", client.destination(developer, "third").text)
        client.delete_destination(developer, "third", if_version=2)
        self.assertEqual(client.restore(developer, 2)["version"], 4)
        self.assertEqual(client.restore(developer, 1, allow_removal=True)["version"], 5)
        self.assertEqual([v["version"] for v in client.versions(developer)], [5, 4, 3, 2, 1])
        self.assertIn("third", client.version(developer, 2).text)
        self.assertIn(developer, [d["developer"] for d in client.developers({"q": "pyth"})])

    def test_2_an_event_arrives_signed_at_both_webhooks(self) -> None:
        body = {"type": "sleep", "user": {"user_id": "u é"}, "data": []}
        at = datetime(2026, 7, 1, 9, 12, 33, tzinfo=timezone.utc)
        event = self.client.send(self.developer, body, reference="order-17", ordering=at, idempotency_key="k1")
        self.assertEqual((event["reference"], event["deliveries"]), ("order-17", 2))
        again = self.client.send(self.developer, body, idempotency_key="k1")
        self.assertEqual((again["id"], again["duplicate"]), (event["id"], True))
        until(lambda: len(self.genuine) == 2)
        self.assertEqual(self.forged, [])
        self.assertEqual(sorted(path for path, _ in self.genuine), ["/standard", "/terra"])
        for _, webhook in self.genuine:
            self.assertEqual((webhook.event["user"]["user_id"], webhook.id.startswith(event["id"])), ("u é", True))
        self.assertEqual(self.client.event_body(event["id"]).decode(), '{"type":"sleep","user":{"user_id":"u é"},"data":[]}')

    def test_3_a_batch_tells_each_event(self) -> None:
        outcomes = self.client.send_batch(
            [
                SendRequest(self.developer, {"type": "auth"}),
                SendRequest("nobody", {"type": "auth"}),
                SendRequest(self.developer, body='{\n"type":"auth"}'),
                SendRequest(self.developer, body="no JSON"),
            ]
        )
        self.assertEqual([o.error.code if o.error else "accepted" for o in outcomes], ["accepted", "unknown_developer", "accepted", "invalid_json"])
        accepted = outcomes[2].accepted
        assert accepted
        self.assertEqual(self.client.event_body(accepted["id"]), b'{\n"type":"auth"}')
        told: List[Outcome] = []
        with self.client.batcher(told.append, max_events=40) as batcher:
            for n in range(100):
                batcher.add(SendRequest(self.developer, {"type": "daily", "n": n}))
        self.assertEqual(sum(1 for o in told if o.accepted), 100)

    def test_4_what_became_of_it(self) -> None:
        client, developer = self.client, self.developer
        event = next(client.events({"developer": developer, "type": ["sleep"]}))
        found = until(lambda: [d for d in client.deliveries({"developer": developer, "event": event["id"], "state": ["delivered"], "detail": True})])
        self.assertEqual((found[0]["type"], found[0]["last_answer"]["code"]), ("sleep", 200))
        self.assertEqual(len(client.delivery(found[0]["id"])["attempts"]), 1)
        self.assertEqual(client.event(event["id"])["user"], "u é")
        self.assertEqual(len(list(client.events({"developer": developer, "type": ["daily"], "limit": 30}))), 30)
        self.assertEqual(client.retry_delivery(found[0]["id"])["to"], "pending")
        until(lambda: len(self.genuine) >= 3)
        self.assertEqual(client.retry_deliveries({"developer": developer, "state": "dead"}).matched, 0)
        client.cancel_deliveries({"developer": developer})
        replay = client.replay({"developer": developer, "states": ["cancelled"], "types": ["sleep"]})
        until(lambda: client.get_replay(replay["id"])["state"] == "finished")
        self.assertTrue(list(client.replays({"developer": developer})))
        self.assertTrue(client.usage({"developer": developer, "by": "destination"})["items"])
        self.assertTrue(all(row["balanced"] for row in client.audit({"developer": developer, "deep": True})))
        self.assertEqual(next(client.changes({"developer": developer, "call": "retryDelivery"}))["reason"], "a test")
        self.assertEqual(client.series({"developer": developer, "destination": "app", "range": "24h"})["step_seconds"], 300)

    def test_5_explain(self) -> None:
        explained = self.client.explain(self.developer, {"type": "auth"})
        self.assertEqual([d["decision"] for d in explained["destinations"]], ["sends", "filtered"])
        self.assertTrue(any(kind["type"] == "sleep" and kind["generated"] for kind in self.client.event_types()))

    def test_6_destinations(self) -> None:
        client, developer = self.client, self.developer
        with Fantail(os.environ["FANTAIL_URL"], os.environ["FANTAIL_TOKEN"]) as silent:
            self.assertEqual(silent.pause(developer, "app", "lunch")["state"], "paused")
        self.assertEqual([d["reason"] for d in client.destinations({"developer": developer, "state": "paused"})], ["lunch"])
        self.assertEqual(client.resume(developer, "app")["state"], "active")
        self.assertGreaterEqual(len(list(client.history(developer, "app"))), 2)
        self.assertEqual(client.check(developer, "app")["check"]["result"], "ok")
        self.assertTrue(client.test(developer, "app", {"type": "daily"})["reference"].startswith("fantail-test-"))
        self.assertEqual(client.rebind(developer, "app")["rebound"], 0)
        self.assertEqual(client.destination_settings(developer, "app")["settings"]["settings"]["secret"], "[redacted]")
        self.assertGreaterEqual(len(client.rotate_secret(developer, "app")["secret"]), 16)

    def test_7_a_link_to_the_portal(self) -> None:
        client = self.client
        link = client.portal_link(self.developer, may=["read", "retry"], ttl=600)
        self.assertTrue(link["url"].startswith("http://console.example/"))
        self.assertIn(link["id"], [one["id"] for one in client.portal_links({"developer": self.developer})])
        client.revoke_portal_link(link["id"])
        self.assertNotIn(link["id"], [one["id"] for one in client.portal_links({"developer": self.developer})])
        self.assertEqual(self.refused(lambda: client.portal_link("nobody")).status, 404)

    def test_8_the_daemon_itself_and_the_end(self) -> None:
        client, developer = self.client, self.developer
        event = next(client.events({"developer": developer, "type": ["sleep"]}))
        self.assertTrue(client.ready()["ready"])
        self.assertGreater(client.limits()["body"], 0)
        self.assertFalse(client.egress()["proxy"])
        self.assertTrue(client.payload_link(event["id"])["url"].startswith("http://events.example/"))
        self.assertGreaterEqual(client.erase_user(developer, "u é")["events"], 1)
        gone = self.refused(lambda: client.event_body(event["id"]))
        self.assertEqual((gone.status, gone.code), (410, "gone"))
        with Fantail(os.environ["FANTAIL_URL"], "another-token-than-that") as other:
            error = self.refused(other.limits)
        self.assertEqual(error.status, 401)
        self.assertIn("token", error.advice)
        client.delete_developer(developer, "erase")
        self.assertEqual(self.refused(lambda: client.developer(developer)).status, 404)


class Readme(unittest.TestCase):
    """The code of the README, as it stands there."""

    def test_the_code_works(self) -> None:
        port = int(os.environ["PORT"])
        secret = "a-secret-of-the-readme"
        with open_client() as client:
            settings = {"url": f"http://127.0.0.1:{port}/", "secret": secret, "allow_http": True}
            client.put_developer("acme", {"developer": "acme", "destinations": [{"name": "app", "kind": "webhook", "settings": settings}]})
            files = sorted(Path(".").glob("readme[0-9]*.py"))
            self.assertGreaterEqual(len(files), 3)
            environment = {**os.environ, "WEBHOOK_SECRET": secret, "PYTHONUNBUFFERED": "1"}
            server = next(file for file in files if "serve_forever" in file.read_text())
            said = ""
            with subprocess.Popen([sys.executable, str(server)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as receiver:
                until(lambda: listens(port))  # else the first attempt is refused, and the next one is due in 30 s
                for file in files:
                    if file != server:
                        done = subprocess.run([sys.executable, str(file)], env=environment, capture_output=True, text=True, timeout=120)
                        self.assertEqual((done.returncode, done.stderr), (0, ""), file.name)
                        said += done.stdout
                assert receiver.stdout
                seen = ""
                while "sleep" not in seen:
                    line = receiver.stdout.readline()
                    self.assertTrue(line, "the receiver has ended")
                    seen += line
                receiver.kill()
            self.assertIn("http://console.example/", said)
            self.assertEqual(list(client.deliveries({"developer": "acme", "state": ["dead"]})), [])
