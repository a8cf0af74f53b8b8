// A real OAuth 2.0 server in the ways of signing in that `oidc.mjs` leaves out: client credentials with private_key_jwt,
// the device grant, metadata and dynamic registration with id_tokens, tokens for a named resource (RFC 8707), rotation that
// ends the whole family when a spent refresh token is shown again. It believes to be `https://oidc.keyport.test`.
//
// Argument: {port}. Says {origin, issuer, robot, robot_key, device, audience} when it listens: two clients, the key of the
// first in PEM, and the resource that it makes tokens for. GET /control/log → {grants, errors, revocations}, all that it
// has done, in order. POST /control/expire?account=A or ?client=C: tokens of theirs that it was shown are refused from then
// on. POST /control/replay?account=A: somebody shows the last refresh token that came for them a second time; its status.
// Ends with its standard input.

import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import Provider, { errors } from "oidc-provider";

const { port } = JSON.parse(process.argv[2]);
const issuer = "https://oidc.keyport.test", audience = "https://oidc.keyport.test/api";
const origin = `http://127.0.0.1:${port}`;
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const robot = "robot", device = "television";

const provider = new Provider(issuer, {
  clients: [{
    client_id: robot,
    token_endpoint_auth_method: "private_key_jwt",
    token_endpoint_auth_signing_alg: "ES256",
    grant_types: ["client_credentials"],
    response_types: [],
    redirect_uris: [],
    jwks: { keys: [{ ...publicKey.export({ format: "jwk" }), alg: "ES256", use: "sig" }] },
  }, {
    client_id: device,
    token_endpoint_auth_method: "none",
    grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    response_types: [],
    redirect_uris: [],
  }],
  scopes: ["openid", "offline_access", "api:read"],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      async getResourceServerInfo(_context, resource) {
        if (resource !== audience) throw new errors.InvalidTarget();
        return { scope: "api:read", audience, accessTokenFormat: "jwt" };
      },
    },
  },
  claims: { openid: ["sub"], email: ["email"] },
  ttl: { AccessToken: 3600, ClientCredentials: 3600, DeviceCode: 600, Session: 3600, Grant: 86400, Interaction: 3600, IdToken: 3600, RefreshToken: 86400 },
  cookies: { keys: ["only for tests"] },
  async findAccount(_context, sub) {
    return { accountId: sub, claims: async () => ({ sub, email: `${sub}@oidc.keyport.test` }) };
  },
});
provider.proxy = true;

const log = { grants: [], errors: [], revocations: [] };
const spent = new Map(), shown = new Map(), dead = new Set();
provider.on("grant.success", ({ oidc }) => {
  const account = oidc.account?.accountId ?? null;
  log.grants.push({ client: oidc.client.clientId, account, grant: oidc.params.grant_type, resource: oidc.params.resource ?? null });
  if (oidc.params.refresh_token) spent.set(account, { client_id: oidc.client.clientId, refresh_token: oidc.params.refresh_token });
});
provider.on("grant.error", ({ oidc }, error) => {
  if (!["authorization_pending", "slow_down"].includes(error.error)) {
    log.errors.push({ client: oidc?.client?.clientId ?? oidc?.params?.client_id ?? null, error: error.error });
  }
});

/** Whom a bearer token is of: a person's opaque one, a client's, or one for the resource, whose signature is checked. */
async function whose(token) {
  const parts = token.split(".");
  if (parts.length === 3) {
    const [head, body] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
    const { keys } = await (await fetch(`${origin}/jwks`)).json();
    const jwk = keys.find((key) => key.kid === head.kid);
    const good = jwk && head.alg === "RS256" && body.iss === issuer && body.aud === audience && verify(
      "RSA-SHA256",
      Buffer.from(`${parts[0]}.${parts[1]}`),
      createPublicKey({ key: jwk, format: "jwk" }),
      Buffer.from(parts[2], "base64url"),
    );
    return good ? { account: body.sub, client: body.client_id, resource: body.aud } : undefined;
  }
  const found = await provider.AccessToken.find(token) ?? await provider.ClientCredentials.find(token);
  return found && !found.isExpired ? { account: found.accountId ?? null, client: found.clientId } : undefined;
}

async function control(context) {
  const { account, client } = context.query;
  if (context.path === "/control/log") return log;
  if (context.path === "/control/expire") {
    for (const [token, of] of shown) if ((account && of.account === account) || (client && of.client === client)) dead.add(token);
    return {};
  }
  if (context.path === "/control/replay") {
    const form = new URLSearchParams({ grant_type: "refresh_token", ...spent.get(account) });
    const answer = await fetch(`${origin}/token`, { method: "POST", body: form });
    return { status: answer.status };
  }
  return undefined;
}

provider.use(async (context, next) => {
  const answer = await control(context);
  if (answer) { context.body = answer; return; }
  const token = (context.get("authorization").match(/^Bearer (.+)$/) ?? [])[1];
  if (token && (context.path.startsWith("/api/") || context.path === "/me")) {
    const of = await whose(token);
    if (of) shown.set(token, of);
    if (!of || dead.has(token)) { context.status = 401; context.body = { error: "invalid_token" }; return; }
    if (context.path === "/api/whose") { context.body = of; return; }
  }
  // What it says about itself is said as whom it believes to be; the pages that a person sees stay where they are.
  if (context.path.startsWith("/.well-known/") || ["/device/auth", "/reg", "/token"].includes(context.path)) {
    context.req.headers["x-forwarded-proto"] = "https";
    context.req.headers["x-forwarded-host"] = "oidc.keyport.test";
  }
  await next();
  if (context.path === "/token/revocation") {
    log.revocations.push({ client: context.oidc?.client?.clientId ?? null, hint: context.oidc?.params?.token_type_hint ?? null, status: context.status });
  }
});

provider.listen(port, "127.0.0.1", () => {
  const robot_key = privateKey.export({ format: "pem", type: "pkcs8" });
  console.log(JSON.stringify({ origin, issuer, robot, robot_key, device, audience }));
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
