import type { Provider } from "./index.d.ts";
import type * as contract from "./contract.d.ts";

/** The exports of a component, by the interfaces of the contract. */
export function component(provider: Provider): {
  connection: contract.Connection;
  actions: contract.Actions;
  triggers: contract.Triggers;
  lifecycle: contract.Lifecycle;
  exchange: contract.Exchange;
};
