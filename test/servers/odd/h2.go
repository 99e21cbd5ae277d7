package odd

import (
	"crypto/sha256"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Stream is a request of HTTP/2 that has arrived whole.
type Stream struct {
	framer *http2.Framer
	id     uint32
}

// Reset ends the request with an error.
func (s *Stream) Reset(code http2.ErrCode) { s.framer.WriteRSTStream(s.id, code) }

// GoAway ends the connection; requests after the stream last were not processed.
func (s *Stream) GoAway(last uint32, code http2.ErrCode) { s.framer.WriteGoAway(last, code, nil) }

// serveH2 reads requests and has each answered. A sound answer is 200 without a
// body.
func serveH2(c *Conn, misbehave func(*Stream)) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.Conn, preface); err != nil {
		return
	}
	f := http2.NewFramer(c.Conn, c.Conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				f.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			r := &Request{Line: frame.PseudoValue("method") + " " + frame.PseudoValue("path") + " HTTP/2", Conn: c.Number, sum: sha256.New()}
			for _, h := range frame.RegularFields() {
				r.Header = append(r.Header, h.Name+": "+h.Value)
			}
			c.server.note(r)
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			if n := uint32(len(frame.Data())); n > 0 {
				f.WriteWindowUpdate(0, n)
				f.WriteWindowUpdate(frame.StreamID, n)
			}
			ended = frame.StreamEnded()
		}
		if ended {
			if c.server.mended.Load() {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.Header().StreamID, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true}) // :status 200
				continue
			}
			misbehave(&Stream{f, frame.Header().StreamID})
		}
	}
}
