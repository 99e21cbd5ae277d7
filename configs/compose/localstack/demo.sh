#!/bin/sh
# Run by LocalStack when it is ready: what developers/demo.yaml delivers to.
set -eu
awslocal s3api create-bucket --bucket demo
awslocal sqs create-queue --queue-name demo
