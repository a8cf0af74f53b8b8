// The MCP SDK's own server with its sample provider: a protected resource (RFC 9728) with an authorization server beside it
// (RFC 8414, dynamic registration, strict about the resource). Both bind loopback alone, and believe to be
// `https://mcp.keyport.test/mcp` and `https://mcp-as.keyport.test/`.
//
// Argument: {resource_port, server_port}. Says {resource, server} (their origins) when both listen. GET server/control/log →
// what both were asked, in order: "server POST /register 201". Ends with its standard input.

import express from "express";
import { DemoInMemoryAuthProvider } from "@modelcontextprotocol/sdk/examples/server/demoInMemoryOAuthProvider.js";
import { createOAuthMetadata, getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter, mcpAuthRouter } from "@modelcontextprotocol/sdk/server/auth/router.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

const { resource_port, server_port } = JSON.parse(process.argv[2]);
const resourceUrl = new URL("https://mcp.keyport.test/mcp");
const issuerUrl = new URL("https://mcp-as.keyport.test/");
const scopesSupported = ["mcp:tools"];
const provider = new DemoInMemoryAuthProvider((resource) => resource?.href === resourceUrl.href);

const log = [];
const logged = (whose) => (request, response, next) => {
  const { method, path } = request;
  response.on("finish", () => log.push(`${whose} ${method} ${path} ${response.statusCode}`));
  next();
};

const authorization = express();
authorization.get("/control/log", (_request, response) => response.json(log));
authorization.use(logged("server"));
authorization.use(mcpAuthRouter({ provider, issuerUrl, scopesSupported }));

const resource = express();
resource.use(logged("resource"));
const oauthMetadata = createOAuthMetadata({ provider, issuerUrl, scopesSupported });
resource.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: resourceUrl, scopesSupported }));
const guard = requireBearerAuth({
  verifier: provider,
  requiredScopes: ["mcp:tools"],
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resourceUrl),
});
resource.all("/mcp", guard, express.json(), async (request, response) => {
  const server = new McpServer({ name: "sample", version: "1.0.0" });
  server.registerTool("hello", { description: "Says hello" }, async () => ({ content: [{ type: "text", text: "hello" }] }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on("close", () => { transport.close(); server.close(); });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});

const listen = (app, port) => new Promise((done) => {
  app.listen(port, "127.0.0.1", () => done(`http://127.0.0.1:${port}`));
});
console.log(JSON.stringify({
  resource: await listen(resource, resource_port),
  server: await listen(authorization, server_port),
}));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
