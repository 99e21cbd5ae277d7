package strictaws

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Message is what a queue took.
type Message struct {
	ID, Body           string
	Attributes         map[string]Attribute
	Group, Dedup       string
	At                 time.Time // by the server's clock
	received, finished bool
}

// Attribute is a message attribute.
type Attribute struct {
	DataType    string
	StringValue string `json:",omitempty"`
	BinaryValue []byte `json:",omitempty"`
}

type queue struct {
	Queue
	messages []*Message
}

const (
	maxMessage   = 1 << 20
	dedupPeriod  = 5 * time.Minute
	maxInBatch   = 10
	targetPrefix = "AmazonSQS."
)

// AddQueue makes an empty queue, or empties one of that name, and returns its URL.
func (s *Server) AddQueue(q Queue) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Account == "" {
		q.Account = Account
	}
	s.queues[q.Account+"/"+q.Name] = &queue{Queue: q}
	return s.URL + "/" + q.Account + "/" + q.Name
}

// RemoveQueue makes a queue missing, by its URL.
func (s *Server) RemoveQueue(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queues, strings.TrimPrefix(url, s.URL+"/"))
}

// Messages returns what a queue took, in order, by its URL.
func (s *Server) Messages(url string) (all []Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[strings.TrimPrefix(url, s.URL+"/")]; q != nil {
		for _, m := range q.messages {
			all = append(all, *m)
		}
	}
	return all
}

func sqsOperation(r *http.Request) string {
	switch name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix); name {
	case "GetQueueUrl", "GetQueueAttributes", "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage":
		if ok {
			return name
		}
	}
	return ""
}

func (s *Server) sqs(c *call, operation string) *refusal {
	if f := s.unknownHeaders(c, "X-Amz-Target", "X-Amzn-Query-Mode"); f != nil {
		return f
	}
	if c.r.Method != http.MethodPost || c.r.URL.Path != "/" || c.r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		return s.strange("an SQS request must be a POST of application/x-amz-json-1.0 to /")
	}
	switch operation {
	case "GetQueueUrl":
		return s.queueURL(c)
	case "GetQueueAttributes":
		return s.queueAttributes(c)
	case "SendMessage":
		return s.sendMessage(c)
	case "SendMessageBatch":
		return s.sendBatch(c)
	case "ReceiveMessage":
		return s.receive(c)
	}
	return s.deleteMessage(c)
}

// read decodes a request strictly.
func (s *Server) read(c *call, into any) *refusal {
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return s.strange("%s: %v", c.r.Header.Get("X-Amz-Target"), err)
	}
	return nil
}

func (c *call) json(v any) *refusal {
	c.w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	c.w.Header().Set("X-Amzn-Requestid", c.id)
	_ = json.NewEncoder(c.w).Encode(v)
	return nil
}

func noQueue() *refusal {
	return &refusal{http.StatusBadRequest, "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "The specified queue does not exist."}
}

// queue finds the queue of a URL that the caller may use for action.
func (s *Server) queue(c *call, url, action string) (*queue, *refusal) {
	path, ok := strings.CutPrefix(url, s.URL+"/")
	if !ok {
		return nil, &refusal{http.StatusBadRequest, "InvalidAddress", "", "The address " + url + " is not valid for this endpoint."}
	}
	q := s.queues[path]
	if q == nil {
		return nil, noQueue()
	}
	return q, s.mayUse(c, q, action)
}

func (s *Server) mayUse(c *call, q *queue, action string) *refusal {
	arn := "arn:aws:sqs:" + s.Region + ":" + q.Account + ":" + q.Name
	spelled := strings.ToLower(action) // as the service spells it here
	var byQueue string
	if q.Policy != "" {
		byQueue = s.says(s.parse(q.Policy), c.who, action, arn, nil)
	}
	mine := q.Account == c.who.account
	switch {
	case byQueue == "Deny":
		return deniedBecause(c.who, spelled, arn, "with an explicit deny in a resource-based policy")
	case !mine && byQueue == "" && !slices.Contains(q.Shared, c.who.account):
		return deniedBecause(c.who, spelled, arn, "because no resource-based policy allows the "+spelled+" action")
	case s.denied[action]:
		return denied(c.who, spelled, arn)
	case mine && byQueue == "Allow":
		return nil
	}
	return s.identityAllows(c.who, action, arn)
}

// mayEncrypt says why the key of a queue cannot be used for a message of who.
func (s *Server) mayEncrypt(c *call, q *queue) *refusal {
	if q.KMSKey == "" {
		return nil
	}
	refused := &refusal{http.StatusBadRequest, "KMS.AccessDeniedException", "KmsAccessDenied",
		"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."}
	if q.KMSKey == "alias/aws/sqs" {
		if q.Account != c.who.account {
			return refused
		}
		return nil
	}
	for _, action := range []string{"kms:GenerateDataKey", "kms:Decrypt"} {
		if s.allowed(c, action, q.KMSKey) != nil {
			return refused
		}
	}
	return nil
}

func (s *Server) queueURL(c *call) *refusal {
	var in struct{ QueueName, QueueOwnerAWSAccountId string }
	if f := s.read(c, &in); f != nil {
		return f
	}
	if in.QueueOwnerAWSAccountId == "" {
		in.QueueOwnerAWSAccountId = c.who.account
	}
	q := s.queues[in.QueueOwnerAWSAccountId+"/"+in.QueueName]
	if q == nil {
		return noQueue()
	}
	if f := s.mayUse(c, q, "sqs:GetQueueUrl"); f != nil {
		return f
	}
	return c.json(map[string]string{"QueueUrl": s.URL + "/" + q.Account + "/" + q.Name})
}

func (s *Server) queueAttributes(c *call) *refusal {
	var in struct {
		QueueUrl       string
		AttributeNames []string
	}
	if f := s.read(c, &in); f != nil {
		return f
	}
	q, f := s.queue(c, in.QueueUrl, "sqs:GetQueueAttributes")
	if f != nil {
		return f
	}
	all := map[string]string{
		"QueueArn": "arn:aws:sqs:" + s.Region + ":" + q.Account + ":" + q.Name, "MaximumMessageSize": strconv.Itoa(q.most()),
		"ApproximateNumberOfMessages": strconv.Itoa(len(q.messages)),
		"DelaySeconds":                strconv.Itoa(int(q.Delay / time.Second)), "VisibilityTimeout": strconv.Itoa(int(cmp.Or(q.Visibility, 30*time.Second) / time.Second)),
	}
	if q.KMSKey != "" {
		all["KmsMasterKeyId"] = q.KMSKey
	}
	if q.Policy != "" {
		all["Policy"] = q.Policy
	}
	if q.fifo() { // standard queues do not have these at all
		all["FifoQueue"], all["ContentBasedDeduplication"] = "true", strconv.FormatBool(q.ContentDedup)
		all["DeduplicationScope"], all["FifoThroughputLimit"] = "queue", "perQueue"
		if q.HighThroughput {
			all["DeduplicationScope"], all["FifoThroughputLimit"] = "messageGroup", "perMessageGroupId"
		}
	}
	known := append([]string{"All", "FifoQueue", "ContentBasedDeduplication", "KmsMasterKeyId"}, "QueueArn", "MaximumMessageSize", "ApproximateNumberOfMessages")
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		if !slices.Contains(known, name) {
			return &refusal{http.StatusBadRequest, "InvalidAttributeName", "", "Unknown Attribute " + name + "."}
		}
		for k, v := range all {
			if k == name || name == "All" {
				out[k] = v
			}
		}
	}
	return c.json(map[string]any{"Attributes": out})
}

// entry is a message to send, alone or in a batch.
type entry struct {
	Id                     string // of a batch's entry
	QueueUrl               string // of a message alone
	MessageBody            string
	MessageAttributes      map[string]Attribute
	MessageGroupId         string
	MessageDeduplicationId string
	DelaySeconds           int
}

// sent is the answer for one message.
type sent struct {
	Id               string `json:",omitempty"`
	MessageId        string
	MD5OfMessageBody string
	SequenceNumber   string `json:",omitempty"`
}

func (s *Server) sendMessage(c *call) *refusal {
	var in entry
	if f := s.read(c, &in); f != nil {
		return f
	}
	q, f := s.queue(c, in.QueueUrl, "sqs:SendMessage")
	if f != nil {
		return f
	}
	if in.Id != "" {
		return s.strange("SendMessage has no Id")
	}
	if f := q.judge(in); f != nil {
		return f
	}
	if f := s.mayEncrypt(c, q); f != nil {
		return f
	}
	return c.json(s.take(q, in))
}

func (s *Server) sendBatch(c *call) *refusal {
	var in struct {
		QueueUrl string
		Entries  []entry
	}
	if f := s.read(c, &in); f != nil {
		return f
	}
	q, f := s.queue(c, in.QueueUrl, "sqs:SendMessage")
	if f != nil {
		return f
	}
	if f := judgeBatch(in.Entries); f != nil {
		return f
	}
	if f := s.mayEncrypt(c, q); f != nil {
		return f
	}
	type failed struct {
		Id, Code, Message string
		SenderFault       bool
	}
	out := struct {
		Successful []sent
		Failed     []failed
	}{Successful: []sent{}, Failed: []failed{}}
	for _, e := range in.Entries {
		if e.QueueUrl != "" {
			return s.strange("an entry of a batch has no QueueUrl")
		}
		if s.entries != nil {
			if f, fail := s.entries(e.MessageBody); fail {
				out.Failed = append(out.Failed, failed{e.Id, f.Code, f.Message, f.Status < 500})
				continue
			}
		}
		if f := q.judge(e); f != nil {
			out.Failed = append(out.Failed, failed{e.Id, f.code, f.text, true})
			continue
		}
		out.Successful = append(out.Successful, s.take(q, e))
	}
	return c.json(out)
}

// take stores a message that is fit, or recognises one sent before.
func (s *Server) take(q *queue, e entry) sent {
	sum := md5.Sum([]byte(e.MessageBody))
	m := &Message{ID: s.nextID(), Body: e.MessageBody, Attributes: e.MessageAttributes, Group: e.MessageGroupId, Dedup: e.MessageDeduplicationId, At: s.now()}
	if q.fifo() {
		if m.Dedup == "" {
			m.Dedup = hexSum([]byte(m.Body))
		}
		for n, old := range q.messages {
			if old.Dedup == m.Dedup && (!q.HighThroughput || old.Group == m.Group) && m.At.Sub(old.At) < dedupPeriod {
				return sent{e.Id, old.ID, hex.EncodeToString(sum[:]), fmt.Sprintf("%020d", n+1)}
			}
		}
	}
	q.messages = append(q.messages, m)
	out := sent{Id: e.Id, MessageId: m.ID, MD5OfMessageBody: hex.EncodeToString(sum[:])}
	if q.fifo() {
		out.SequenceNumber = fmt.Sprintf("%020d", len(q.messages))
	}
	return out
}

func (s *Server) receive(c *call) *refusal {
	var in struct {
		QueueUrl                              string
		MaxNumberOfMessages, WaitTimeSeconds  int
		VisibilityTimeout                     int
		MessageAttributeNames, AttributeNames []string
		MessageSystemAttributeNames           []string
	}
	if f := s.read(c, &in); f != nil {
		return f
	}
	q, f := s.queue(c, in.QueueUrl, "sqs:ReceiveMessage")
	if f != nil {
		return f
	}
	type message struct {
		MessageId, ReceiptHandle, MD5OfBody, Body string
		MessageAttributes                         map[string]Attribute `json:",omitempty"`
	}
	out := []message{}
	for _, m := range q.messages {
		if m.received || m.finished || len(out) >= max(in.MaxNumberOfMessages, 1) {
			continue
		}
		m.received = true // it never becomes visible again
		sum := md5.Sum([]byte(m.Body))
		got := message{MessageId: m.ID, ReceiptHandle: "receipt-" + m.ID, MD5OfBody: hex.EncodeToString(sum[:]), Body: m.Body}
		if slices.Contains(in.MessageAttributeNames, "All") {
			got.MessageAttributes = m.Attributes
		}
		out = append(out, got)
	}
	return c.json(map[string]any{"Messages": out})
}

func (s *Server) deleteMessage(c *call) *refusal {
	var in struct{ QueueUrl, ReceiptHandle string }
	if f := s.read(c, &in); f != nil {
		return f
	}
	q, f := s.queue(c, in.QueueUrl, "sqs:DeleteMessage")
	if f != nil {
		return f
	}
	for _, m := range q.messages {
		if "receipt-"+m.ID == in.ReceiptHandle {
			m.finished = true
			return c.json(struct{}{})
		}
	}
	return &refusal{http.StatusBadRequest, "ReceiptHandleIsInvalid", "", "The input receipt handle is invalid."}
}
