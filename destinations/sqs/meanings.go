package sqs

import (
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// meaning is what a code of SQS says about the next attempt. What every message
// would hit is Misconfigured, what only this one hits is Rejected, the rest waits.
type meaning struct {
	code   string // as spelled has it
	says   string // what the message must hold, too; "": anything
	class  destination.Class
	advice string // what to do, with what fill fills in; "": nothing that we know
	size   bool   // of a message that is too long: class is Misconfigured unless the event made it so
}

// Advice that several codes share.
const (
	badKey   = "the credentials are refused: see that access_key_id and secret_access_key belong together and are active"
	oldKey   = "the credentials have expired: put fresh ones into the settings, or use role_arn"
	badTime  = "our clock, or theirs, is wrong: the operator sets the machine's time"
	noSQS    = "what answers there is not the SQS that was asked: mend endpoint, or the proxy before it"
	noQueue  = "{queue} does not exist: create it, or mend queue, account, region or endpoint; of another account's it is also said when its policy does not let us in"
	otherFor = "the queue is of the other type: the name of a FIFO queue ends with .fifo, that of no other does"
	rights   = `grant {right} on {arn}, for another account's queue in its policy, too: {"Effect":"Allow","Action":"{right}","Resource":"{arn}"}`
	keyUse   = `grant kms:GenerateDataKey and kms:Decrypt on the queue's KMS key, for another account's key in its policy, too: ` +
		`{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"the key's ARN"}`
	longer   = "raise the queue's MaximumMessageSize, this message is as small as they come: aws sqs set-queue-attributes --queue-url {url} --attributes MaximumMessageSize=1048576"
	otherKey = "aws sqs set-queue-attributes --queue-url {url} --attributes KmsMasterKeyId=..."
)

// meanings has the errors of SendMessageBatch, GetQueueUrl and GetQueueAttributes
// by the API reference of SQS, and those that all actions have in common. The first
// that fits counts. What is missing is judged by its HTTP status.
var meanings = []meaning{
	{code: "QueueDoesNotExist", class: destination.Misconfigured, advice: noQueue},
	{code: "NonExistentQueue", class: destination.Misconfigured, advice: noQueue},
	{code: "ResourceNotFound", class: destination.Misconfigured, advice: noQueue},
	{code: "QueueDeletedRecently", class: destination.Misconfigured, advice: noQueue},
	{code: "InvalidAddress", class: destination.Misconfigured, advice: "queue is a URL that region or endpoint does not know"},
	{code: "UnsupportedOperation", class: destination.Misconfigured, advice: "this is no queue that messages can be sent to"},

	{code: "AccessDenied", says: "explicit deny", class: destination.Misconfigured,
		advice: "a policy denies {right} on {arn} explicitly: no grant helps before that Deny, or what it depends on, is changed in the policy that the answer names"},
	{code: "AccessDenied", says: "resource-based policy", class: destination.Misconfigured,
		advice: `grant {right} on {arn} in the queue's policy: {"Effect":"Allow","Principal":{"AWS":"{who}"},"Action":"{right}","Resource":"{arn}"}`},
	{code: "AccessDenied", class: destination.Misconfigured, advice: rights},
	{code: "NotAuthorized", class: destination.Misconfigured, advice: rights},

	{code: "KmsAccessDenied", class: destination.Misconfigured, advice: keyUse},
	{code: "KmsDisabled", class: destination.Misconfigured, advice: "the queue's KMS key is disabled: see that it is enabled (aws kms enable-key), or take another (" + otherKey + ")"},
	{code: "KmsInvalidState", class: destination.Misconfigured, advice: "the queue's KMS key is about to be deleted, or not made yet: aws kms cancel-key-deletion, then enable-key; or take another (" + otherKey + ")"},
	{code: "KmsNotFound", class: destination.Misconfigured, advice: "the queue's KMS key does not exist in its region: take another (" + otherKey + ")"},
	{code: "KmsInvalidKeyUsage", class: destination.Misconfigured, advice: "the queue's KMS key is not one to encrypt with: take a symmetric one (" + otherKey + ")"},
	{code: "KmsOptInRequired", class: destination.Misconfigured, advice: "the account of the queue's KMS key is not signed up for KMS"},
	{code: "KmsThrottled", class: destination.Throttled, advice: "KMS is asked too often: raise the queue's KmsDataKeyReusePeriodSeconds"},
	{code: "KmsThrottling", class: destination.Throttled, advice: "KMS is asked too often: raise the queue's KmsDataKeyReusePeriodSeconds"},
	{code: "Kms*", class: destination.Misconfigured, advice: "the queue's KMS key cannot be used: " + keyUse},

	{code: "RequestThrottled", class: destination.Throttled},
	{code: "Throttling", class: destination.Throttled},
	{code: "Throttled", class: destination.Throttled},
	{code: "RequestLimitExceeded", class: destination.Throttled},
	{code: "TooManyRequests", class: destination.Throttled},
	{code: "SlowDown", class: destination.Throttled},
	{code: "OverLimit", class: destination.Throttled, advice: "the queue is at a limit of its own: see that its messages are consumed and deleted"},

	{code: "InvalidMessageContents", class: destination.Rejected},
	{code: "InvalidParameterValue", says: "must be shorter", size: true, class: destination.Misconfigured, advice: longer},
	{code: "MessageTooLong", size: true, class: destination.Misconfigured, advice: longer},
	{code: "BatchRequestTooLong", size: true, class: destination.Misconfigured, advice: longer},
	{code: "RequestEntityTooLarge", size: true, class: destination.Misconfigured, advice: longer},
	{code: "InvalidParameterValue", says: "for this queue type", class: destination.Misconfigured, advice: otherFor},
	{code: "InvalidParameterValue", says: "ContentBasedDeduplication", class: destination.Misconfigured, advice: noSQS},
	{code: "InvalidParameterValue", says: "MessageGroupId", class: destination.Rejected},
	{code: "InvalidParameterValue", says: "MessageDeduplicationId", class: destination.Rejected},
	{code: "InvalidParameterValue", says: "attribute", class: destination.Rejected},
	{code: "InvalidParameterValue", class: destination.Transient},
	{code: "MissingParameter", says: "MessageGroupId", class: destination.Misconfigured, advice: otherFor},
	{code: "MissingParameter", class: destination.Misconfigured, advice: noSQS},

	// None of our requests can be answered so, but by something between us and SQS.
	{code: "TooManyEntriesInBatchRequest", class: destination.Misconfigured, advice: noSQS},
	{code: "EmptyBatchRequest", class: destination.Misconfigured, advice: noSQS},
	{code: "InvalidBatchEntryId", class: destination.Misconfigured, advice: noSQS},
	{code: "BatchEntryIdsNotDistinct", class: destination.Misconfigured, advice: noSQS},
	{code: "InvalidAction", class: destination.Misconfigured, advice: "the service does not know SQS's JSON protocol"},
	{code: "UnknownOperation", class: destination.Misconfigured, advice: "the service does not know SQS's JSON protocol"},
	{code: "MalformedHttpRequest", class: destination.Misconfigured, advice: noSQS},
	{code: "InvalidSecurity", class: destination.Misconfigured, advice: "the queue takes requests over https alone, signed by SigV4: mend endpoint"},

	{code: "InvalidSignature", says: "Signature expired", class: destination.Misconfigured, advice: badTime},
	{code: "InvalidSignature", says: "Signature not yet current", class: destination.Misconfigured, advice: badTime},
	{code: "InvalidSignature", says: "scoped to a valid region", class: destination.Misconfigured, advice: "region is wrong: set it to that of the queue"},
	{code: "InvalidSignature", class: destination.Misconfigured, advice: badKey},
	{code: "InvalidClientTokenId", class: destination.Misconfigured, advice: badKey},
	{code: "UnrecognizedClient", class: destination.Misconfigured, advice: badKey},
	{code: "InvalidAccessKeyId", class: destination.Misconfigured, advice: badKey},
	{code: "IncompleteSignature", class: destination.Misconfigured, advice: badKey},
	{code: "MissingAuthenticationToken", class: destination.Misconfigured, advice: badKey},
	{code: "ExpiredToken", class: destination.Misconfigured, advice: oldKey},
	{code: "RequestExpired", class: destination.Misconfigured, advice: badTime},
	{code: "OptInRequired", class: destination.Misconfigured, advice: "the AWS account is not signed up for the service"},
	{code: "AccountProblem", class: destination.Misconfigured, advice: "something is wrong with the AWS account"},

	{code: "InternalFailure", class: destination.Transient},
	{code: "InternalError", class: destination.Transient},
	{code: "ServiceUnavailable", class: destination.Transient},
	{code: "RequestTimeout", class: destination.Transient},
	{code: "RequestAborted", class: destination.Transient},
}

// spelled is code in one spelling. The same error is AWS.SimpleQueueService.{code}
// in the header for clients of the older protocol, {code}Exception in the common
// errors, and KMS.{code}Exception or Kms{code} when KMS refuses.
func spelled(code string) string {
	code = strings.TrimSuffix(strings.TrimPrefix(code, "AWS.SimpleQueueService."), "Exception")
	if code == "SignatureDoesNotMatch" {
		return "InvalidSignature"
	}
	if rest, ok := strings.CutPrefix(code, "KMS."); ok {
		return "Kms" + rest
	}
	return code
}

// meaningOf finds the row of an answer with a code and a message.
func meaningOf(code, message string) (meaning, bool) {
	for _, m := range meanings {
		family, all := strings.CutSuffix(m.code, "*")
		if (m.code == code || all && strings.HasPrefix(code, family)) && strings.Contains(message, m.says) {
			return m, true
		}
	}
	return meaning{}, false
}

// ofStatus judges an answer whose code nobody knows, or that has none, as those of
// proxies. SQS refuses with 400 or 403 and a code, and fails with 5xx. json tells
// whether the answer says that it is JSON, as all of SQS's are; asked, whether it
// says when to come again.
func ofStatus(status int, json, asked bool) meaning {
	switch {
	case status == 413:
		return meaning{size: true, class: destination.Misconfigured, advice: longer}
	case status == 429, status == 503 && asked:
		return meaning{class: destination.Throttled}
	case (status < 300 || status == 400) && json, status == 408, status == 409, status == 421, status == 425:
		return meaning{class: destination.Transient}
	case status >= 500 && status != 501 && status != 505:
		return meaning{class: destination.Transient}
	}
	return meaning{class: destination.Misconfigured, advice: noSQS}
}
