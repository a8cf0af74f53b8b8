import { Host } from "./index.js";

/** A host that answers what it was told to answer. */
export class FakeHost extends Host {
  constructor(given?: { manifest?: unknown; values?: Record<string, string>; now?: number });
  readonly sent: { method: string; url: string; headers: [string, string][]; body: string | null }[];
  readonly lines: string[];
  answer(status: number, body?: unknown, headers?: Record<string, string>): this;
}
