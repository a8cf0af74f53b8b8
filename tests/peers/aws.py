"""AWS on loopback: moto's server, with real checks of signatures, and one user whose keys it prints.

It prints its facts as a line of JSON and ends when its standard input does. The user may assume a role and list buckets,
and may not do anything else.
"""

import json
import os
import sys

os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "5"
os.environ.update(AWS_ACCESS_KEY_ID="setup", AWS_SECRET_ACCESS_KEY="setup", AWS_DEFAULT_REGION="us-east-1")

import boto3  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
origin = f"http://127.0.0.1:{port}"
iam = boto3.client("iam", endpoint_url=origin)
allow = lambda action: json.dumps({  # noqa: E731
    "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
trust = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
iam.create_user(UserName="ada")
iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=allow(["sts:AssumeRole", "sts:GetCallerIdentity", "s3:*"]))
role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=allow(["sts:GetCallerIdentity", "s3:*"]))
key = iam.create_access_key(UserName="ada")["AccessKey"]
print(json.dumps({"origin": origin, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"], "role": role}), flush=True)
sys.stdin.read()
server.stop()
