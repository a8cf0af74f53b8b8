// The component: what it exports, made of what `provider.js` says. An interface that the manifest asks for is named here.

import { component } from "./keyport/component.js";
import { provider } from "./provider.js";

export const { connection, actions, triggers } = component(provider);
