// UTF-8, which QuickJS has no functions for. What is not well-formed becomes U+FFFD, as everywhere on the web.

/** A text as bytes. */
export function encode(text) {
  const bytes = [];
  for (const character of text) {
    let point = character.codePointAt(0);
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
    else {
      bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 0x3f), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
    }
  }
  return Uint8Array.from(bytes);
}

/** Bytes as a text. */
export function decode(bytes) {
  const parts = [];
  let codes = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at];
    let need = 0;
    let point = 0xfffd;
    let least = 0;
    if (first < 0x80) point = first;
    else if (first >= 0xc2 && first <= 0xdf) [need, point, least] = [1, first & 0x1f, 0x80];
    else if (first >= 0xe0 && first <= 0xef) [need, point, least] = [2, first & 0x0f, 0x800];
    else if (first >= 0xf0 && first <= 0xf4) [need, point, least] = [3, first & 0x07, 0x10000];
    at += 1;
    for (let more = 0; more < need; more += 1) {
      const next = bytes[at];
      if (next === undefined || (next & 0xc0) !== 0x80) {
        point = 0xfffd;
        least = 0;
        break;
      }
      point = (point << 6) | (next & 0x3f);
      at += 1;
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) point = 0xfffd;
    codes.push(point);
    // In pieces: a call has a limited number of arguments.
    if (codes.length === 4096) {
      parts.push(String.fromCodePoint(...codes));
      codes = [];
    }
  }
  parts.push(String.fromCodePoint(...codes));
  return parts.join("");
}
