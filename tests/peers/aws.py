"""AWS on loopback: moto's server, with real checks of signatures and policies, and two users whose keys it prints.

Argument, a JSON object: `port`. It prints {origin, id, secret, role, other_id, other_secret} as a line of JSON: `ada` may
take on the role, the other may do nothing of the kind. It ends when its standard input does.
"""

import json
import os
import sys

# How many requests are let in unsigned: those that make users and rights, below.
SETUP = 7
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(SETUP)
os.environ.update(AWS_ACCESS_KEY_ID="setup", AWS_SECRET_ACCESS_KEY="setup", AWS_DEFAULT_REGION="us-east-1")

import logging  # noqa: E402

import boto3  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=json.loads(sys.argv[1])["port"], verbose=False)
server.start()
host, port = server.get_host_and_port()
origin = f"http://127.0.0.1:{port}"
iam = boto3.client("iam", endpoint_url=origin)


def allow(*actions):
    return json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})


trust = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
iam.create_user(UserName="ada")
iam.create_user(UserName="bob")
iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=allow("sts:AssumeRole", "sts:GetCallerIdentity"))
role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=allow("sts:GetCallerIdentity"))
key = iam.create_access_key(UserName="ada")["AccessKey"]
other = iam.create_access_key(UserName="bob")["AccessKey"]
print(json.dumps({
    "origin": origin, "role": role,
    "id": key["AccessKeyId"], "secret": key["SecretAccessKey"],
    "other_id": other["AccessKeyId"], "other_secret": other["SecretAccessKey"]}), flush=True)
sys.stdin.read()
server.stop()
