"""What the client does when the daemon is busy, away, slow, or something else."""

import ast
import base64
import json
import socket
import sys
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import fantail
from fantail import Fantail, FantailError, Outcome, SendRequest

Answer = Union[Tuple[int, str], Tuple[int, str, Dict[str, str]], Callable[["Asked", BaseHTTPRequestHandler], Optional[Tuple[int, str]]]]


class Asked:
    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method, self.url = handler.command, handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = handler.rfile.read(int(self.headers.get("content-length", 0)))

    @property
    def lines(self) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]


class Fake:
    """Answers requests in turn, the last answer for ever, and keeps what was asked."""

    def __init__(self, test: unittest.TestCase, *answers: Answer) -> None:
        self.asked: List[Asked] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                asked = Asked(self)
                fake.asked.append(asked)
                answer: Any = answers[min(len(fake.asked), len(answers)) - 1]
                if callable(answer):
                    answer = answer(asked, self)
                    if answer is None:
                        self.close_connection = True
                        return
                text = answer[1].encode()
                self.send_response(answer[0])
                for name, value in (answer[2] if len(answer) > 2 else {}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def stop() -> None:
            self.server.shutdown()
            thread.join()
            self.server.server_close()

        test.addCleanup(stop)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def refused(status: int, code: str, **headers: str) -> Tuple[int, str, Dict[str, str]]:
    return status, json.dumps({"error": {"code": code, "message": "because"}}), {name.replace("_", "-"): value for name, value in headers.items()}


ACCEPTED = (202, '{"id":"e","reference":"r","deliveries":1}')


def ok(number: int, id: str = "") -> str:
    return json.dumps({"line": number, "status": 202, "id": id or f"e{number}", "reference": "r", "deliveries": 1}) + "\n"


def hang_up(_: Asked, __: BaseHTTPRequestHandler) -> None:
    pass


def every(asked: Asked, _: object = None) -> Tuple[int, str]:
    return 200, "".join(ok(i + 1, str(line.get("event", {}).get("n", line.get("event", {}).get("type")))) for i, line in enumerate(asked.lines))


class Retries(unittest.TestCase):
    def client(self, fake: Fake, **options: Any) -> Fantail:
        client = Fantail(fake.url, **options)
        self.addCleanup(client.close)
        return client

    def test_an_event_is_sent_again_with_the_same_key(self) -> None:
        fake = Fake(self, refused(503, "unavailable", retry_after="1"), ACCEPTED)
        began = time.monotonic()
        self.client(fake, token="token", reason="a é", brand="zebra").send("acme", body=' {"type":"x"}\n', reference="ref", ordering=1782897153000)
        self.assertGreaterEqual(time.monotonic() - began, 1)
        first, second = fake.asked
        self.assertEqual(first.headers["idempotency-key"], second.headers["idempotency-key"])
        self.assertRegex(first.headers["idempotency-key"], "^[0-9a-f-]{36}$")
        self.assertEqual(second.body, b' {"type":"x"}\n')
        names = ("authorization", "dev-id", "zebra-reference", "zebra-ordering-timestamp", "fantail-reason")
        self.assertEqual([first.headers[name] for name in names], ["Bearer token", "acme", "ref", "1782897153000", "a%20%C3%A9"])
        self.assertRegex(first.headers["user-agent"], r"^fantail-client-python/\d+\.\d+\.\d+$")

    def test_what_is_no_event_is_not_sent(self) -> None:
        fake = Fake(self, ACCEPTED)
        client = self.client(fake)
        calls: List[Callable[[], object]] = [
            lambda: client.send("acme"),
            lambda: client.send("acme", body=b""),
            lambda: client.send("acme", {"type": "x", "n": float("nan")}),
        ]
        for call in calls:
            with self.assertRaises((TypeError, ValueError)):
                call()
        with self.assertRaises(ValueError):
            client.send("acme\r\nx: y", {"type": "x"})
        self.assertEqual(fake.asked, [])

    def test_a_refusal_is_not_tried_again_and_says_what_to_do(self) -> None:
        fake = Fake(self, refused(404, "unknown_developer"))
        with self.assertRaises(FantailError) as raised:
            self.client(fake).send("nobody", {"type": "x"})
        error = raised.exception
        self.assertEqual((error.code, error.status, error.message, error.temporary), ("unknown_developer", 404, "because", False))
        self.assertIn("document", error.advice)
        self.assertEqual(len(fake.asked), 1)

    def test_what_may_do_harm_is_tried_once(self) -> None:
        fake = Fake(self, refused(503, "unavailable"))
        client = self.client(fake)
        calls: List[Callable[[], object]] = [
            lambda: client.test("acme", "app"),
            lambda: client.portal_link("acme"),
            lambda: client.replay({"developer": "acme"}),
            lambda: client.rotate_secret("acme", "app"),
        ]
        for call in calls:
            with self.assertRaises(FantailError):
                call()
        self.assertEqual(len(fake.asked), 4)

    def test_patience_ends(self) -> None:
        fake = Fake(self, refused(503, "unavailable", retry_after="60"))
        with self.assertRaises(FantailError) as raised:
            self.client(fake, patience=1).limits()
        self.assertEqual((raised.exception.code, raised.exception.retry_after, len(fake.asked)), ("unavailable", 60, 1))

    def test_a_fault_of_the_network_is_tried_again(self) -> None:
        fake = Fake(self, hang_up, (200, "{}"))
        self.client(fake).limits()
        self.assertEqual(len(fake.asked), 2)

    def test_a_kept_connection_that_has_ended_costs_nothing(self) -> None:
        def close(_: Asked, handler: BaseHTTPRequestHandler) -> Tuple[int, str]:
            handler.close_connection = True
            return 200, "{}"

        fake = Fake(self, close, (200, "{}"), (201, '{"url":"u"}'))
        client = self.client(fake, patience=0)
        client.limits()
        client.limits()
        client.portal_link("acme")
        self.assertEqual(len(fake.asked), 3)

    def test_what_may_do_harm_goes_over_a_connection_of_its_own(self) -> None:
        fake = Fake(self, (200, "{}"), hang_up, (201, '{"url":"u"}'))
        client = self.client(fake)
        client.limits()
        with self.assertRaises(FantailError):
            client.portal_link("acme")
        self.assertEqual(len(fake.asked), 2)

    def test_nobody_there_no_answer_another_program_a_redirect(self) -> None:
        def code(url: str, **options: Any) -> str:
            with self.assertRaises(FantailError) as raised, Fantail(url, patience=0, **options) as client:
                client.limits()
            return raised.exception.code

        self.assertEqual(code("http://127.0.0.1:1"), "no_answer")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.assertEqual(code(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05), "timeout")
        self.assertEqual(code(Fake(self, (200, "<html>")).url), "unreadable_answer")
        other = Fake(self, ACCEPTED)
        self.assertEqual(code(Fake(self, (307, "", {"location": other.url})).url, token="secret"), "refused")
        self.assertEqual(other.asked, [])

    def test_addresses_that_are_none(self) -> None:
        for url in ("", "localhost:8080", "ftp://x", "http://", "http://x?y=1", "http://x/#a", "http://me:pw@x"):
            with self.assertRaises(ValueError) as raised:
                Fantail(url)
            self.assertNotIn("pw", str(raised.exception))

    def test_lists(self) -> None:
        def page(ids: str, next: str) -> Tuple[int, str]:
            return 200, json.dumps({"items": [{"id": id} for id in ids], "next": next})

        fake = Fake(self, page("a", "1"), page("", "2"), page("b", ""))
        found = self.client(fake).deliveries({"state": ["dead", "pending"], "developer": "a&b", "detail": True})
        self.assertEqual([d["id"] for d in found], ["a", "b"])
        self.assertEqual(fake.asked[2].url, "/v1/deliveries?state=dead&state=pending&developer=a%26b&detail=true&cursor=2&limit=1000")
        fake = Fake(self, page("ab", "1"), page("cd", "2"))
        self.assertEqual([e["id"] for e in self.client(fake).events({"limit": 3})], ["a", "b", "c"])
        self.assertIn("limit=1", fake.asked[1].url)
        fake = Fake(self, page("a", "1"), page("b", "1"))
        with self.assertRaisesRegex(RuntimeError, "does not move on"):
            list(self.client(fake).events())

    def test_a_batch_goes_on_with_the_lines_that_have_no_answer(self) -> None:
        def cut(asked: Asked, handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("content-length", "10000")
            handler.end_headers()
            handler.wfile.write((ok(1) + '{"line":2,"status":404,"error":{"code":"unknown_developer","message":"no"}}\n{"line":3,"stat').encode())

        fake = Fake(
            self,
            cut,
            (200, '{"line":1,"status":429,"error":{"code":"limited","message":"wait"}}\n' + ok(2)),
            (200, '{"line":1,"status":200,"id":"e9","reference":"r","deliveries":1,"duplicate":true}\n'),
        )
        requests = [SendRequest("acme", {"type": type}) for type in "abcd"]
        outcomes = self.client(fake).send_batch(requests)
        self.assertEqual([name(o) for o in outcomes], ["e1", "unknown_developer", "e9", "e2"])
        self.assertTrue(outcomes[2].accepted and outcomes[2].accepted["duplicate"])
        self.assertIs(outcomes[1].request, requests[1])
        self.assertEqual(["".join(line["event"]["type"] for line in asked.lines) for asked in fake.asked], ["abcd", "cd", "c"])
        self.assertEqual(fake.asked[0].lines[2]["idempotency_key"], fake.asked[2].lines[0]["idempotency_key"])

    def test_a_batch_that_is_too_large_is_halved(self) -> None:
        def small(asked: Asked, _: BaseHTTPRequestHandler) -> Tuple[int, str]:
            if b"big" in asked.body or len(asked.lines) > 2:
                return 413, '{"error":{"code":"too_large","message":"no"}}'
            return every(asked)

        outcomes = self.client(Fake(self, small)).send_batch([SendRequest("acme", {"type": type}) for type in ("a", "b", "big", "c")])
        self.assertEqual([name(o) for o in outcomes], ["a", "b", "too_large", "c"])

    def test_a_line_that_the_daemon_did_not_read_goes_again(self) -> None:
        too_large = '{"line":2,"status":413,"error":{"code":"too_large","message":"none is read from here on"}}\n'
        fake = Fake(self, (200, ok(1) + too_large), (200, ok(1, "second")))
        outcomes = self.client(fake).send_batch([SendRequest("acme", {"type": type}) for type in "ab"])
        self.assertEqual([name(o) for o in outcomes], ["e1", "second"])

    def test_a_batch_whose_daemon_stays_away(self) -> None:
        outcomes = self.client(Fake(self, refused(503, "unavailable")), patience=0).send_batch([SendRequest("acme", {"type": "a"})])
        self.assertEqual([name(o) for o in outcomes], ["unavailable"])
        with self.assertRaises(FantailError) as raised:
            self.client(Fake(self, refused(401, "unauthorized"))).send_batch([SendRequest("acme", {"type": "a"})])
        self.assertEqual(raised.exception.status, 401)

    def test_bodies_that_span_lines_go_as_base64(self) -> None:
        fake = Fake(self, every)
        self.client(fake).send_batch([SendRequest('a"b', body=body) for body in ('{ "type" : 1.0e5 }', '{\n"type":"é"}', b' {"type":"x"}')])
        self.assertIn(b'"event":{ "type" : 1.0e5 }}\n', fake.asked[0].body)
        _, two, three = fake.asked[0].lines
        self.assertEqual(base64.b64decode(two["body"]).decode(), '{\n"type":"é"}')
        self.assertEqual(base64.b64decode(three["body"]), b' {"type":"x"}')

    def test_bounds_that_bound_nothing_are_refused(self) -> None:
        client = Fantail("http://127.0.0.1:1")
        for name in ("max_events", "max_bytes", "max_wait", "max_pending"):
            for value in (float("nan"), -1):
                with self.assertRaisesRegex(ValueError, name):
                    client.batcher(lambda o: None, **{name: value}).close()  # type: ignore[arg-type]
        with self.assertRaisesRegex(ValueError, "max_events"):
            client.batcher(lambda o: None, max_events=0).close()

    def test_the_batcher_gathers_and_waits_for_room(self) -> None:
        release, reached = threading.Event(), threading.Event()

        def held(asked: Asked, _: BaseHTTPRequestHandler) -> Tuple[int, str]:
            reached.set()
            release.wait(20)
            return every(asked)

        fake = Fake(self, held, every)
        seen: List[str] = []

        def event(n: int) -> SendRequest:
            return SendRequest("acme", {"type": "x", "n": str(n), "pad": "x" * 100})

        size = len(json.dumps(event(0).event, separators=(",", ":")))
        client = self.client(fake)
        batcher = client.batcher(lambda o: seen.append(name(o)), max_events=3, max_wait=0.02, max_pending=4 * (size + 512))
        for n in range(4):
            batcher.add(event(n))
        fifth = threading.Thread(target=batcher.add, args=(event(4),))
        fifth.start()
        self.assertTrue(reached.wait(20))
        fifth.join(0.05)
        self.assertTrue(fifth.is_alive())
        release.set()
        fifth.join()
        batcher.close()
        self.assertEqual(seen, ["0", "1", "2", "3", "4"])
        self.assertEqual(len(fake.asked[0].lines), 3)
        with self.assertRaisesRegex(RuntimeError, "closed"):
            batcher.add(event(5))
        before = len(fake.asked)
        with client.batcher(lambda o: None, max_wait=60, max_bytes=2 * size) as big:
            for n in range(4):
                big.add(event(n))
            big.flush()
        self.assertEqual([len(asked.lines) for asked in fake.asked[before:]], [2, 2])

    def test_what_a_callback_raises_comes_out_of_flush(self) -> None:
        def fail(_: Outcome) -> None:
            raise KeyError("the callback's")

        batcher = self.client(Fake(self, every)).batcher(fail)
        batcher.add(SendRequest("acme", {"type": "x"}))
        with self.assertRaisesRegex(KeyError, "the callback's"):
            batcher.flush()
        batcher.close()

    def test_a_callback_that_exits_ends_no_batcher(self) -> None:
        seen: List[str] = []

        def leave(outcome: Outcome) -> None:
            seen.append(outcome.request.developer)
            sys.exit(3)

        batcher = self.client(Fake(self, every)).batcher(leave)
        for developer in ("acme", "other"):
            batcher.add(SendRequest(developer, {"type": "x"}))
            flushed: List[BaseException] = []

            def flush() -> None:
                try:
                    batcher.flush()
                except SystemExit as error:
                    flushed.append(error)

            waits = threading.Thread(target=flush, daemon=True)
            waits.start()
            waits.join(60)
            self.assertEqual([str(e) for e in flushed], ["3"])
        batcher.close()
        self.assertEqual(seen, ["acme", "other"])

    def test_many_small_events_are_bounded_too(self) -> None:
        release = threading.Event()

        def held(asked: Asked, _: BaseHTTPRequestHandler) -> Tuple[int, str]:
            release.wait(20)
            return every(asked)

        added: List[int] = []
        batcher = self.client(Fake(self, held)).batcher(lambda o: None, max_pending=10_000)

        def add() -> None:
            for n in range(100):
                batcher.add(SendRequest("acme", body="{}"))
                added.append(n)

        adder = threading.Thread(target=add)
        adder.start()
        adder.join(0.1)
        self.assertLess(len(added), 25)
        release.set()
        adder.join()
        batcher.close()

    def test_a_callback_may_add_and_not_wait(self) -> None:
        wrong: List[str] = []

        def again(outcome: Outcome) -> None:
            if outcome.request.developer == "acme":
                batcher.add(SendRequest("other", body=b"x" * 100))
            for wait in (batcher.flush, batcher.close):
                try:
                    wait()
                except RuntimeError as error:
                    wrong.append(str(error))

        batcher = self.client(Fake(self, every)).batcher(again, max_pending=1)
        batcher.add(SendRequest("acme", body="{}"))
        batcher.flush()
        batcher.close()
        self.assertEqual(len(wrong), 4)

    def test_a_batch_that_fails_halfway_tells_what_was_accepted(self) -> None:
        fake = Fake(self, every, refused(401, "unauthorized"))
        outcomes = self.client(fake).send_batch([SendRequest("acme", {"type": "x", "n": str(n)}) for n in range(1002)])
        self.assertEqual([name(o) for o in outcomes[998:]], ["998", "999", "unauthorized", "unauthorized"])

    def test_a_proxy_whose_daemon_is_away_is_asked_again(self) -> None:
        for status in (502, 504):
            fake = Fake(self, (status, "<html>"), ACCEPTED)
            self.client(fake).send("acme", {"type": "x"})
            self.assertEqual(len(fake.asked), 2)

    def test_answers_that_are_none_are_not_believed(self) -> None:
        def code(status: int, body: str, call: Callable[[Fantail], object]) -> str:
            with self.assertRaises(FantailError) as raised:
                call(self.client(Fake(self, (status, body)), patience=0))
            return raised.exception.code

        for body in (ok(1).replace('"id"', '"no"'), "null\n", '{"ok":true}\n', '{"line":1,"status":404,"error":"no"}\n', '{"line":"1"}\n', " " * (1 << 20)):
            self.assertEqual(code(200, body, lambda c: c.send_batch([SendRequest("acme", {"type": "x"})])), "unreadable_answer", body[:50])
        for body in ('{"error":"no"}', '{"error":{"code":[],"message":{}}}', '{"error":null}', "<html>", "[" * 100_000):
            self.assertEqual(code(500, body, lambda c: c.limits()), "refused")
        self.assertEqual(code(200, "[" * 100_000, lambda c: c.limits()), "unreadable_answer")

    def test_an_endless_refusal_is_not_read_to_its_end(self) -> None:
        def endless(_: Asked, handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(500)
            handler.end_headers()
            try:
                while True:
                    handler.wfile.write(b" " * (1 << 20))
            except OSError:
                handler.close_connection = True

        with self.assertRaises(FantailError) as raised:
            self.client(Fake(self, endless)).limits()
        self.assertEqual(raised.exception.code, "unreadable_answer")

    def test_the_source_is_one_of_python_3_9(self) -> None:
        for path in Path(fantail.__file__).parent.glob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))


def name(outcome: Outcome) -> str:
    if outcome.accepted:
        return outcome.accepted["id"]
    assert outcome.error
    return outcome.error.code
