/** A text as bytes. */
export function encode(text: string): Uint8Array;
/** Bytes as a text. */
export function decode(bytes: Uint8Array | number[]): string;
