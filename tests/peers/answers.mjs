// oauth2-mock-server, whose token endpoint answers beside the standard: `beforeResponse` changes what it was about to say.
//
// Argument: {port, cases}. A case is found by its name, which is the `client_id`: {answer, refresh?}; each is {status?, set?,
// without?, body?}: members that are set or left out of the server's own answer, or another body. Where there is `refresh`,
// the first access token is good for one call of GET /userinfo and refused from then on. GET /userinfo says {sub, shown}:
// which of the refresh tokens that the server gave out (1, 2 …) it was shown, in order. Says {origin} when it listens. Ends
// with its standard input.

import { OAuth2Server } from "oauth2-mock-server";

const { port, cases } = JSON.parse(process.argv[2]);
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
const known = new Map();
const of = (client) => {
  if (!known.has(client)) known.set(client, { signed: 0, given: [], shown: [], calls: 0 });
  return known.get(client);
};

server.service.on("beforeTokenSigning", (token, { body }) => {
  token.payload.client = body.client_id;
  token.payload.grant = body.grant_type;
});
server.service.on("beforeResponse", (response, { body }) => {
  const client = of(body.client_id), found = cases[body.client_id];
  if (body.refresh_token) client.shown.push(client.given.indexOf(body.refresh_token) + 1);
  const change = (body.grant_type === "refresh_token" ? found?.refresh : found?.answer) ?? {};
  if (change.status) response.statusCode = change.status;
  if ("body" in change) {
    // `{{access_token}}` is the token that the server was about to hand out.
    response.body = JSON.parse(JSON.stringify(change.body).replaceAll("{{access_token}}", response.body.access_token));
    return;
  }
  Object.assign(response.body, change.set);
  for (const name of change.without ?? []) delete response.body[name];
  if (response.body.refresh_token) client.given.push(response.body.refresh_token);
});
server.service.on("beforeUserinfo", (response, request) => {
  const [, body] = (request.headers.authorization ?? "").replace(/^Bearer /, "").split(".");
  const claims = body ? JSON.parse(Buffer.from(body, "base64url")) : {};
  const client = of(claims.client), found = cases[claims.client];
  const spent = claims.grant === "authorization_code" && found?.refresh && client.calls++ > 0;
  if (!found || spent) {
    response.statusCode = 401;
    response.body = { error: "invalid_token" };
    return;
  }
  response.body.shown = client.shown;
});

await server.start(port, "127.0.0.1");
console.log(JSON.stringify({ origin: `http://127.0.0.1:${port}` }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
