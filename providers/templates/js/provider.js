// @ts-check
// What @@NAME@@ can do. The host attaches the credential to every request; there is none in here.

import { Failure } from "./keyport/index.js";

/** Where an answer has the account's id and label, best first. */
const IDS = @@ID_PATHS@@;
const LABELS = @@LABEL_PATHS@@;

/** The first value at one of these paths, as text. */
function first(body, paths) {
  for (const path of paths) {
    const value = path.reduce((at, name) => at?.[name], body);
    if (value !== undefined && value !== null && value !== "") return String(value);
  }
  return null;
}

/** @param {import("./keyport/index.js").Host} host */
function account(host) {
  const body = host.get("@@TEST_PATH@@").success().json();
  const id = first(body, IDS);
  if (id === null) {
    throw new Failure("provider-down", "@@NAME@@ did not say whose credential this is");
  }
  return { id, label: first(body, LABELS) ?? id };
}

/** @type {import("./keyport/index.js").Provider} */
export const provider = {
  check: account,
  actions: {
    get_account: (host) => account(host),
  },
};
