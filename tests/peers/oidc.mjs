// A real OAuth 2.0 server: panva's oidc-provider, with PKCE required, rotating refresh tokens with reuse detection,
// RFC 9207 `iss` and RFC 7009 revocation. It believes to be `https://oidc.keyport.test`; Keyport reaches it through an
// origin override, and so does the test that plays the browser.
//
// Argument: {port, client_id, client_secret, redirect_uri, access_ttl}. Says {origin, issuer} when it listens.
// GET /control/stats → {grants, refreshes, revocations, errors}. Ends with its standard input.

import Provider from "oidc-provider";

const { port, client_id, client_secret, redirect_uri, access_ttl = 3600 } = JSON.parse(process.argv[2]);
const issuer = "https://oidc.keyport.test";

const provider = new Provider(issuer, {
  clients: [{
    client_id,
    client_secret,
    redirect_uris: [redirect_uri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "client_secret_basic",
  }],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  features: { revocation: { enabled: true }, introspection: { enabled: true }, devInteractions: { enabled: true } },
  claims: { openid: ["sub"], email: ["email"], profile: ["name"] },
  ttl: { AccessToken: access_ttl, Session: 3600, Grant: 86400, Interaction: 3600, IdToken: 3600 },
  cookies: { keys: ["only for tests"] },
  async findAccount(_context, sub) {
    return { accountId: sub, claims: async () => ({ sub, email: `${sub}@oidc.keyport.test`, name: sub }) };
  },
});
provider.proxy = true;

const stats = { grants: 0, refreshes: 0, revocations: 0, errors: 0 };
provider.on("grant.success", (context) => {
  if (context.oidc.params.grant_type === "refresh_token") stats.refreshes += 1;
  else stats.grants += 1;
});
provider.on("grant.revoked", () => { stats.revocations += 1; });
provider.on("grant.error", () => { stats.errors += 1; });
provider.use(async (context, next) => {
  if (context.path === "/control/stats") {
    context.body = stats;
    return;
  }
  await next();
});

const server = provider.listen(port, "127.0.0.1", () => {
  console.log(JSON.stringify({ origin: `http://127.0.0.1:${server.address().port}`, issuer }));
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
