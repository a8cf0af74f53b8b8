import unittest

from keyport import OTHER, Failure
from keyport.testing import FakeHost
from provider import POST, App, split, text

SERVER = {"origin": "https://mastodon.social"}


class Test(unittest.TestCase):
    def test_a_long_text_becomes_a_thread_in_which_each_answers_the_one_before(self) -> None:
        host = FakeHost(values=SERVER)
        for number in range(1, 4):
            host.answer(200, {"id": str(number), "url": f"https://mastodon.social/{number}"})
        whole = " ".join(f"Sentence number {n}." for n in range(60))
        made = App().action_post_thread(host, {"text": whole})
        self.assertEqual([post["id"] for post in made["posts"]], ["1", "2", "3"])
        sent = [request.json() for request in host.sent]
        self.assertEqual([one.get("in_reply_to_id") for one in sent], [None, "1", "2"])
        self.assertEqual(" ".join(one["status"] for one in sent), whole)

    def test_what_was_posted_before_a_refusal_is_told(self) -> None:
        host = FakeHost(values=SERVER).answer(200, {"id": "1", "url": "u"}).answer(503, {})
        with self.assertRaises(Failure) as refused:
            App().action_post_thread(host, {"text": "word " * 150})
        self.assertEqual((refused.exception.means, refused.exception.code), (OTHER, "partly_done"))
        self.assertEqual(refused.exception.data, {"posts": [{"id": "1", "url": "u"}]})

    def test_a_piece_fits_whatever_the_text_is(self) -> None:
        for whole in ["x" * 1700, "a b " * 700, "One. Two.\n\n" * 300, "short"]:
            parts = split(whole)
            self.assertTrue(all(0 < len(part) <= POST for part in parts))
            self.assertEqual("".join("".join(parts).split()), "".join(whole.split()))

    def test_the_first_poll_only_says_where_to_go_on(self) -> None:
        host = FakeHost(values=SERVER).answer(200, [{"id": "105"}])
        page = App().trigger_new_post(host, {}, None)
        self.assertEqual((page.events, page.cursor), ([], "105"))
        self.assertEqual(host.sent[0].url, "/timelines/home?limit=1")

    def test_html_becomes_the_text_that_a_person_sees(self) -> None:
        self.assertEqual(text("<p>a &lt;b&gt;<br/>c</p><p>d</p>"), "a <b>\nc\n\nd")


if __name__ == "__main__":
    unittest.main()
