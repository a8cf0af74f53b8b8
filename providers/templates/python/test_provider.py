import json
import unittest

from keyport import NEEDS_RECONNECT, Account, Failure
from keyport.testing import FakeHost
from provider import App

BODY = json.loads(r"""@@BODY@@""")


class Test(unittest.TestCase):
    def test_the_account_is_read_from_the_answer(self) -> None:
        host = FakeHost().answer(200, BODY)
        self.assertEqual(App().check(host), Account(@@EXPECT_ID@@, @@EXPECT_LABEL@@))
        self.assertEqual(host.sent[0].url, "@@TEST_PATH@@")

    def test_a_credential_that_is_not_accepted_asks_for_a_new_sign_in(self) -> None:
        with self.assertRaises(Failure) as refused:
            App().check(FakeHost().answer(401, {}))
        self.assertEqual(refused.exception.means, NEEDS_RECONNECT)


if __name__ == "__main__":
    unittest.main()
