"""An OAuth 1.0a server around oauthlib's endpoints: it keeps clients, tokens and nonces; oauthlib checks every signature.

Arguments, as one JSON object: consumer key and secret, and `skew`, by how many seconds its clock is ahead. It prints its
facts as a line of JSON and ends when its standard input does. One person lives here, `ada`; whoever opens the authorization
page agrees as her (`?deny=1` says no).
"""

import json
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import oauthlib.oauth1 as oauth1
from oauthlib.oauth1 import rfc5849

GIVEN = json.loads(sys.argv[1])
SKEW = GIVEN.get("skew", 0)
KEY, SECRET = GIVEN["key"], GIVEN["secret"]
temporary, verifiers, tokens, nonces, stats = {}, {}, {}, set(), {"requests": 0, "replays": 0}


class Validator(oauth1.RequestValidator):
    """What oauthlib asks about our clients and tokens. Nothing is remembered beyond the process."""

    allowed_signature_methods = rfc5849.SIGNATURE_METHODS if hasattr(rfc5849, "SIGNATURE_METHODS") else (
        "HMAC-SHA1", "HMAC-SHA256", "RSA-SHA1", "PLAINTEXT")
    enforce_ssl = False
    dummy_client, dummy_request_token, dummy_access_token = "dummy", "dummy", "dummy"
    safe_characters = property(lambda self: set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"))
    client_key_length = request_token_length = access_token_length = verifier_length = nonce_length = (5, 64)

    def get_client_secret(self, client_key, request):
        return SECRET if client_key == KEY else "none"

    def get_request_token_secret(self, client_key, token, request):
        return temporary.get(token, {}).get("secret", "none")

    def get_access_token_secret(self, client_key, token, request):
        return tokens.get(token, "none")

    def get_realms(self, token, request):
        return []

    def get_default_realms(self, client_key, request):
        return []

    def get_redirect_uri(self, token, request):
        return temporary[token]["callback"]

    def invalidate_request_token(self, client_key, request_token, request):
        temporary.pop(request_token, None)

    def validate_client_key(self, client_key, request):
        return client_key == KEY

    def validate_request_token(self, client_key, token, request):
        return token in temporary

    def validate_access_token(self, client_key, token, request):
        return token in tokens

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, request_token=None, access_token=None):
        seen = (timestamp, nonce)
        if seen in nonces:
            stats["replays"] += 1
            return False
        nonces.add(seen)
        return True

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return True

    def validate_requested_realms(self, client_key, realms, request):
        return True

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True

    def validate_verifier(self, client_key, token, verifier, request):
        return verifiers.get(token) == verifier

    def verify_request_token(self, token, request):
        return token in temporary

    def verify_realms(self, token, realms, request):
        return True

    def save_request_token(self, token, request):
        temporary[token["oauth_token"]] = {"secret": token["oauth_token_secret"], "callback": request.redirect_uri}

    def save_verifier(self, token, verifier, request):
        verifiers[token] = verifier["oauth_verifier"]

    def save_access_token(self, token, request):
        tokens[token["oauth_token"]] = token["oauth_token_secret"]


SERVER = oauth1.WebApplicationServer(Validator())


class Handler(BaseHTTPRequestHandler):
    def do(self):
        stats["requests"] += 1
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        whole = f"http://{self.headers['host']}{self.path}"
        headers = dict(self.headers)
        stamp = self.headers.get("authorization", "")
        if SKEW and "oauth_timestamp" in stamp:
            sent = int(stamp.split('oauth_timestamp="')[1].split('"')[0])
            if abs(sent - time.time() - SKEW) > 300:
                return self.answer(401, "oauth_problem=timestamp_refused")
        if url.path == "/request":
            _, text, status = SERVER.create_request_token_response(whole, self.command, body, headers)
        elif url.path == "/authorize":
            token = parse_qs(url.query)["oauth_token"][0]
            if "deny" in url.query:
                back = temporary[token]["callback"]
                return self.answer(302, "", back + "&" + urlencode({"denied": token}))
            headers, text, status = SERVER.create_authorization_response(whole, "GET", None, None, credentials={"user": "ada"})
            return self.answer(302, "", headers["Location"])
        elif url.path == "/access":
            _, text, status = SERVER.create_access_token_response(whole, self.command, body, headers)
        elif url.path == "/stats":
            return self.answer(200, json.dumps({**stats, "tokens": len(tokens), "temporary": len(temporary)}))
        else:
            endpoint = oauth1.ResourceEndpoint(Validator())
            good, _ = endpoint.validate_protected_resource_request(whole, self.command, body, headers, realms=[])
            text, status = (json.dumps({"id": "ada", "name": "Ada", "path": self.path}), 200) if good else ("{}", 401)
        self.answer(status, text or "")

    do_GET = do_POST = do_PUT = do

    def answer(self, status, text, location=None):
        self.send_response_only(status)
        self.send_header("date", formatdate(time.time() + SKEW, usegmt=True))
        if location:
            self.send_header("location", location)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"origin": f"http://127.0.0.1:{server.server_port}"}), flush=True)
sys.stdin.read()
