import gzip, hashlib, json


def read(s3, bucket, key):
    """The event in an object, and its version: of two with one key, the later one has the greater.

    s3 is boto3.client("s3"). What Fantail did not write, or somebody changed, is a ValueError.
    """
    o = s3.get_object(Bucket=bucket, Key=key)
    body, meta = o["Body"].read(), o["Metadata"]
    if o.get("ContentEncoding") == "gzip":
        body = gzip.decompress(body)
    if hashlib.sha256(body).hexdigest() != meta.get("fantail-sha256"):
        raise ValueError(f"{bucket}/{key} is not what Fantail wrote")
    return json.loads(body), (meta["fantail-ordering"], meta["fantail-event-id"])
