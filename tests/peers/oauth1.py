"""An OAuth 1.0a server around oauthlib's endpoints: it keeps clients, tokens and nonces; oauthlib checks every signature.

Argument, a JSON object: `port`, `late_port` and `skew` (the same server at a second address, whose clock is so many seconds
ahead), `key` and `secret` of a client. It prints {origin, late, rsa_client, rsa_key, tba_token, tba_secret, tba_realm} as a
line of JSON: a client that signs with its own RSA key, and a token that was made by hand and is good with this realm alone.
One person lives here, `ada`; whoever opens the authorization page agrees as her (`?deny=1` says no). GET /stats says what it
was asked. POST /replay sends the last signed request that it let in a second time, and says what became of it. It ends when
its standard input does.
"""

import json
import sys
import threading
import time
from email.utils import formatdate
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import oauthlib.oauth1 as oauth1
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

GIVEN = json.loads(sys.argv[1])
KEY, SECRET = GIVEN["key"], GIVEN["secret"]
PAIR = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = PAIR.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
PUBLIC = PAIR.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
RSA_CLIENT = "rsa-consumer-1"
TBA_TOKEN, TBA_SECRET, TBA_REALM = "tba-token-1", "canary-tba-secret-0d5e", "1234567_SB1"
temporary, verifiers, tokens, nonces = {}, {}, {TBA_TOKEN: TBA_SECRET}, set()
stats = {"requests": 0, "replays": 0, "granted": 0, "timestamps": 0, "methods": []}
last = {}


class Validator(oauth1.RequestValidator):
    """What oauthlib asks about our clients and tokens. Nothing is remembered beyond the process."""

    allowed_signature_methods = ("HMAC-SHA1", "HMAC-SHA256", "RSA-SHA1", "PLAINTEXT")
    enforce_ssl = False
    # The clock is looked at below, with the skew of the address.
    timestamp_lifetime = 10**6
    dummy_client, dummy_request_token, dummy_access_token = "dummy", "dummy", "dummy"
    safe_characters = property(lambda self: set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"))
    client_key_length = request_token_length = access_token_length = verifier_length = nonce_length = (5, 64)

    def get_client_secret(self, client_key, request):
        return SECRET if client_key == KEY else "none"

    def get_rsa_key(self, client_key, request):
        return PUBLIC

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
        # A client signs as it was registered: the RSA key is no way round the secret, nor the other way.
        rsa_signed = request.signature_method == "RSA-SHA1"
        return client_key == (RSA_CLIENT if rsa_signed else KEY)

    def validate_request_token(self, client_key, token, request):
        return token in temporary

    def validate_access_token(self, client_key, token, request):
        return token in tokens

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, request_token=None, access_token=None):
        seen = (client_key, timestamp, nonce)
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
        stats["granted"] += 1


SERVER = oauth1.WebApplicationServer(Validator())
RESOURCE = oauth1.ResourceEndpoint(Validator())


class Handler(BaseHTTPRequestHandler):
    skew = 0

    def do(self):
        url = urlsplit(self.path)
        if url.path == "/stats":
            return self.answer(200, json.dumps(stats))
        if url.path == "/replay":
            return self.replay()
        stats["requests"] += 1
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        whole = f"http://{self.headers['host']}{self.path}"
        headers = dict(self.headers)
        line = self.headers.get("authorization", "")
        if 'oauth_timestamp="' in line:
            sent = int(line.split('oauth_timestamp="')[1].split('"')[0])
            if abs(sent - time.time() - self.skew) > 300:
                stats["timestamps"] += 1
                return self.answer(401, "oauth_problem=timestamp_refused")
        if url.path == "/request":
            _, text, status = SERVER.create_request_token_response(whole, self.command, body, headers)
        elif url.path == "/authorize":
            token = parse_qs(url.query)["oauth_token"][0]
            if "deny" in url.query:
                back = temporary[token]["callback"]
                return self.answer(302, "", back + "&" + urlencode({"denied": token}))
            headers, text, status = SERVER.create_authorization_response(
                whole, "GET", None, None, credentials={"user": "ada"})
            return self.answer(302, "", headers["Location"])
        elif url.path == "/access":
            _, text, status = SERVER.create_access_token_response(whole, self.command, body, headers)
        else:
            good, request = RESOURCE.validate_protected_resource_request(whole, self.command, body, headers, realms=[])
            realm = line.split('realm="')[1].split('"')[0] if 'realm="' in line else None
            if good and request.resource_owner_key == TBA_TOKEN and realm != TBA_REALM:
                good = False
            if good:
                stats["methods"].append(request.signature_method)
                if not self.skew:
                    last.update(command=self.command, path=self.path, body=body, headers=headers)
            said = {"id": "ada", "name": "Ada", "path": self.path, "realm": realm}
            text, status = (json.dumps(said), 200) if good else ("{}", 401)
        self.answer(status, text or "")

    do_GET = do_POST = do_PUT = do

    def replay(self):
        again = HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        again.request(last["command"], last["path"], last["body"] or None, last["headers"])
        self.answer(200, json.dumps({"status": again.getresponse().status}))

    def answer(self, status, text, location=None):
        self.send_response_only(status)
        self.send_header("date", formatdate(time.time() + self.skew, usegmt=True))
        if location:
            self.send_header("location", location)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Late(Handler):
    skew = GIVEN["skew"]


for port, handler in ((GIVEN["port"], Handler), (GIVEN["late_port"], Late)):
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({
    "origin": f"http://127.0.0.1:{GIVEN['port']}", "late": f"http://127.0.0.1:{GIVEN['late_port']}",
    "rsa_client": RSA_CLIENT, "rsa_key": PRIVATE,
    "tba_token": TBA_TOKEN, "tba_secret": TBA_SECRET, "tba_realm": TBA_REALM}), flush=True)
sys.stdin.read()
