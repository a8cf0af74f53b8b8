// What @@NAME@@ can do. The host attaches the credential to every request; there is none in here.

import { type Account, Failure, type Host, type Provider } from "../keyport/index.js";

/** Where an answer has the account's id and label, best first. */
const IDS: string[][] = @@ID_PATHS@@;
const LABELS: string[][] = @@LABEL_PATHS@@;

/** The first value at one of these paths, as text. */
function first(body: unknown, paths: string[][]): string | null {
  for (const path of paths) {
    const value = path.reduce((at: any, name) => at?.[name], body);
    if (value !== undefined && value !== null && value !== "") return String(value);
  }
  return null;
}

function account(host: Host): Account {
  const body = host.get("@@TEST_PATH@@").success().json();
  const id = first(body, IDS);
  if (id === null) {
    throw new Failure("provider-down", "@@NAME@@ did not say whose credential this is");
  }
  return { id, label: first(body, LABELS) ?? id };
}

export const provider = {
  check: account,
  actions: {
    get_account: (host) => account(host),
  },
} satisfies Provider;
