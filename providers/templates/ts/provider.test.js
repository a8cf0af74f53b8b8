import assert from "node:assert/strict";
import test from "node:test";

import { provider } from "./dist/provider.js";
import { FakeHost } from "./keyport/testing.js";

const BODY = @@BODY@@;

test("the account is read from the answer", () => {
  const host = new FakeHost().answer(200, BODY);
  assert.deepEqual(provider.check(host), { id: @@EXPECT_ID@@, label: @@EXPECT_LABEL@@ });
  assert.equal(host.sent[0].url, "@@TEST_PATH@@");
});

test("a credential that is not accepted asks for a new sign-in", () => {
  const host = new FakeHost().answer(401, {});
  assert.throws(() => provider.check(host), { means: "needs-reconnect" });
});
