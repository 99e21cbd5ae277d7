package aws

import (
	"net/http"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// meaning is what a code of a service says about the next attempt.
type meaning struct {
	class  destination.Class
	advice string // what to do about it
}

const (
	badKey  = "the credentials are refused: see that access_key_id and secret_access_key belong together and are active"
	oldKey  = "the credentials have expired: put fresh ones into the settings, or use role_arn"
	badTime = "our clock, or theirs, is wrong: the operator sets the machine's time"
	// otherFarSide is of answers that every event would get, until the settings lead
	// elsewhere or the way there is free again.
	otherFarSide = "what answers there is not the service but something else, such as a website or the page of a captive portal: mend endpoint"
	// pageOf400 is of a 400 that is a page, as servers say who are spoken to in clear.
	pageOf400 = "what answers there is not the service but something else, such as a website, or a port that wants https: mend endpoint"

	full      = "a quota of the bucket or account is used up: raise it, or remove objects"
	fileThere = "an object lies where the key has a folder, and this service keeps one or the other: remove it, or have keys begin elsewhere"
	elsewhere = "region is wrong: set it to that of the bucket"
)

// meanings are the codes that S3, SQS, STS and what speaks like them answer
// with, from their API references' lists of common errors. What is missing is
// judged by its HTTP status.
var meanings = map[string]meaning{
	"AccessDenied":                {destination.Misconfigured, "the credentials lack the right"},
	"AccessDeniedException":       {destination.Misconfigured, "the credentials lack the right"},
	"AllAccessDisabled":           {destination.Misconfigured, "the account or bucket is closed"},
	"AccountProblem":              {destination.Misconfigured, "something is wrong with the AWS account"},
	"NotSignedUp":                 {destination.Misconfigured, "the AWS account is not signed up for the service"},
	"OptInRequired":               {destination.Misconfigured, "the AWS account is not signed up for the service"},
	"InvalidAccessKeyId":          {destination.Misconfigured, badKey},
	"InvalidClientTokenId":        {destination.Misconfigured, badKey},
	"UnrecognizedClientException": {destination.Misconfigured, badKey},
	"SignatureDoesNotMatch":       {destination.Misconfigured, badKey},
	"InvalidSignatureException":   {destination.Misconfigured, badKey},
	"IncompleteSignature":         {destination.Misconfigured, badKey},
	"MissingAuthenticationToken":  {destination.Misconfigured, badKey},
	"InvalidSecurity":             {destination.Misconfigured, badKey},
	"InvalidToken":                {destination.Misconfigured, "the session_token is refused"},
	"ExpiredToken":                {destination.Misconfigured, oldKey},
	"ExpiredTokenException":       {destination.Misconfigured, oldKey},
	"TokenRefreshRequired":        {destination.Misconfigured, oldKey},
	"RequestTimeTooSkewed":        {destination.Misconfigured, badTime},
	"RequestExpired":              {destination.Misconfigured, badTime},
	"RequestInTheFuture":          {destination.Misconfigured, badTime},

	"NoSuchBucket":                       {destination.Misconfigured, "the bucket does not exist: create it, or mend bucket, region or endpoint"},
	"InvalidBucketName":                  {destination.Misconfigured, "mend bucket"},
	"PermanentRedirect":                  {destination.Misconfigured, elsewhere},
	"AuthorizationHeaderMalformed":       {destination.Misconfigured, elsewhere},
	"IllegalLocationConstraintException": {destination.Misconfigured, elsewhere},
	"MethodNotAllowed":                   {destination.Misconfigured, "the endpoint takes no such request: mend endpoint, bucket or path_style"},

	// Of services that keep objects as files.
	"ObjectParentIsFile":   {destination.Misconfigured, fileThere},
	"XMinioParentIsObject": {destination.Misconfigured, fileThere},

	"QuotaExceeded":                  {destination.Misconfigured, full},
	"XMinioAdminBucketQuotaExceeded": {destination.Misconfigured, full},
	"XMinioStorageFull":              {destination.Misconfigured, full},

	"Throttling":                             {destination.Throttled, ""},
	"ThrottlingException":                    {destination.Throttled, ""},
	"ThrottledException":                     {destination.Throttled, ""},
	"RequestThrottled":                       {destination.Throttled, ""},
	"RequestThrottledException":              {destination.Throttled, ""},
	"RequestLimitExceeded":                   {destination.Throttled, ""},
	"TooManyRequests":                        {destination.Throttled, ""},
	"TooManyRequestsException":               {destination.Throttled, ""},
	"BandwidthLimitExceeded":                 {destination.Throttled, ""},
	"ProvisionedThroughputExceededException": {destination.Throttled, ""},
	"SlowDown":                               {destination.Throttled, ""},

	"EntityTooLarge":   {destination.Rejected, ""},
	"KeyTooLongError":  {destination.Rejected, ""},
	"MetadataTooLarge": {destination.Rejected, ""},
}

// statuses judge an answer without a code that we know; those to HEAD have no body
// and so no code. A status that is missing here may pass, and is Transient: 307 while a
// new bucket becomes known, 400 without a code, 404 (of which kinds know more), 408,
// 409 and 5xx. 412 comes here only where no condition was sent, and then something
// else than the service says it.
var statuses = map[int]meaning{
	http.StatusMovedPermanently:              {destination.Misconfigured, ""},
	http.StatusFound:                         {destination.Misconfigured, otherFarSide},
	http.StatusSeeOther:                      {destination.Misconfigured, otherFarSide},
	http.StatusPermanentRedirect:             {destination.Misconfigured, ""},
	http.StatusUnauthorized:                  {destination.Misconfigured, ""},
	http.StatusPaymentRequired:               {destination.Misconfigured, ""},
	http.StatusForbidden:                     {destination.Misconfigured, ""},
	http.StatusMethodNotAllowed:              {destination.Misconfigured, ""},
	http.StatusProxyAuthRequired:             {destination.Misconfigured, ""},
	http.StatusNotAcceptable:                 {destination.Misconfigured, otherFarSide},
	http.StatusGone:                          {destination.Misconfigured, otherFarSide},
	http.StatusLengthRequired:                {destination.Misconfigured, otherFarSide},
	http.StatusPreconditionFailed:            {destination.Misconfigured, otherFarSide},
	http.StatusUnsupportedMediaType:          {destination.Misconfigured, otherFarSide},
	http.StatusUpgradeRequired:               {destination.Misconfigured, otherFarSide},
	http.StatusRequestEntityTooLarge:         {destination.Rejected, ""},
	http.StatusRequestURITooLong:             {destination.Rejected, ""}, // of the key
	http.StatusRequestHeaderFieldsTooLarge:   {destination.Rejected, ""}, // of the metadata
	http.StatusTooManyRequests:               {destination.Throttled, ""},
	http.StatusUnavailableForLegalReasons:    {destination.Misconfigured, ""},
	http.StatusNetworkAuthenticationRequired: {destination.Misconfigured, otherFarSide},
}

// meaningOf judges err by its status; one that says when to come again is meant.
func meaningOf(err error) meaning {
	status := Status(err)
	if status == http.StatusTemporaryRedirect && Code(err) != "TemporaryRedirect" { // of a website that wants https, or a portal
		return meaning{destination.Misconfigured, otherFarSide}
	}
	if kind := Header(err, "Content-Type"); status == http.StatusBadRequest && (strings.HasPrefix(kind, "text/html") || strings.HasPrefix(kind, "text/plain")) {
		return meaning{destination.Misconfigured, pageOf400}
	}
	if status == http.StatusServiceUnavailable && Header(err, "Retry-After") != "" {
		return meaning{destination.Throttled, ""}
	}
	return statuses[status]
}
