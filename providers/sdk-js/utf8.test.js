import assert from "node:assert/strict";
import test from "node:test";

import { decode, encode } from "./utf8.js";

const own = new TextDecoder("utf-8", { ignoreBOM: true });

test("texts go there and back as the web's own functions have it", () => {
  for (const text of ["", "plain", "é € 😀", "a\ud800b", "\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}", "a".repeat(9999)]) {
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(encode(text), bytes);
    assert.equal(decode(bytes), own.decode(bytes));
  }
});

test("bytes that are no text lose nothing of what is around them", () => {
  // How many marks stand for one broken place is not the same everywhere.
  const one = (text) => text.replace(/\uFFFD+/g, "?");
  const broken = [[0x41, 0xff, 0x42], [0xc0, 0xaf], [0xe2, 0x82], [0xed, 0xa0, 0x80, 0x41], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x41]];
  for (const bytes of broken) {
    assert.equal(one(decode(bytes)), one(own.decode(Uint8Array.from(bytes))), String(bytes));
  }
});
