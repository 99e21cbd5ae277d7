"""Cases made with Fantail's own package of signatures."""

import base64
import json
import os
import unittest
from typing import Any, Dict, List, Optional, Union

from fantail import SignatureError, verify_standard, verify_terra

with open(os.environ["FANTAIL_SIGNATURES"], encoding="utf-8") as f:
    CASES: List[Dict[str, Any]] = json.load(f)


def outcome(case: Dict[str, Any], secret: Optional[Union[str, List[str]]] = None, body: Optional[bytes] = None) -> str:
    verify = verify_terra if case["scheme"] == "terra" else verify_standard
    try:
        webhook = verify(
            case["secrets"] if secret is None else secret,
            case["headers"],
            base64.b64decode(case["body"]) if body is None else body,
            now=case["now"],
        )
    except SignatureError as error:
        return error.code
    assert webhook.event["type"] and webhook.id
    return "ok"


class Signatures(unittest.TestCase):
    def test_cases(self) -> None:
        self.assertGreater(len(CASES), 40)
        for case in CASES:
            with self.subTest(case["scheme"] + ": " + case["name"]):
                self.assertEqual(outcome(case), case["want"])

    def test_faults_of_the_caller(self) -> None:
        standard = next(case for case in CASES if case["scheme"] == "standard")
        nothing: Any = None
        for secret in ("", [], ["x", ""], ["x", nothing], nothing):
            with self.assertRaises(ValueError):
                verify_terra(secret, CASES[0]["headers"], b"x")
        for key in ("no-prefix-at-all", "whsec_", "whsec_AAAA", "whpk_AAAA", "whsk_AAAA"):
            with self.assertRaises(ValueError):
                outcome(standard, secret=key)
        with self.assertRaises(TypeError):
            outcome(CASES[0], body="text")  # type: ignore[arg-type]

    def test_a_tolerance_or_a_time_that_is_no_number_lets_nothing_pass(self) -> None:
        nan = float("nan")
        for case in CASES:
            if case["want"] != "ok":
                continue
            verify = verify_terra if case["scheme"] == "terra" else verify_standard
            for tolerance, now in ((nan, case["now"]), (300, nan)):
                with self.assertRaises(SignatureError) as raised:
                    verify(case["secrets"], case["headers"], base64.b64decode(case["body"]), tolerance=tolerance, now=now)
                self.assertEqual(raised.exception.code, "time")
