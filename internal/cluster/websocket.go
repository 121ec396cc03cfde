package cluster

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// This is as much of RFC 6455 as feeding a container needs: the client's
// handshake, whole binary messages out, whole messages in. client-go has the
// rest of it, for three more modules.

// The kinds of frames (https://www.rfc-editor.org/rfc/rfc6455#section-5.2).
const (
	frameContinued = 0x0
	frameText      = 0x1
	frameBinary    = 0x2
	frameClose     = 0x8
	framePing      = 0x9
	framePong      = 0xa

	frameFinal  = 0x80
	frameMasked = 0x80
)

// maxMessage bounds what the server may say in one message: an error object.
const maxMessage = 1 << 20

// socket is an open WebSocket, seen from the client.
type socket struct {
	protocol string
	conn     io.ReadWriteCloser
	in       *bufio.Reader

	mu  sync.Mutex // one frame at a time
	out []byte     // the frame being made
}

// upgrade makes req ask for a WebSocket that speaks one of the protocols. The
// server's answer is read by upgraded, with the key.
func upgrade(req *http.Request, protocols ...string) (key string, err error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	key = base64.StdEncoding.EncodeToString(nonce)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	req.Header["Sec-WebSocket-Protocol"] = []string{strings.Join(protocols, ", ")}
	return key, nil
}

// upgraded is the WebSocket that a response to upgrade's request has opened.
func upgraded(resp *http.Response, key string) (*socket, error) {
	// The digest proves that the server means WebSocket; SHA-1 is the RFC's choice.
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || resp.StatusCode != http.StatusSwitchingProtocols || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") ||
		resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("the server does not speak WebSocket: %s", resp.Status)
	}
	return newSocket(conn, resp.Header.Get("Sec-WebSocket-Protocol")), nil
}

func newSocket(conn io.ReadWriteCloser, protocol string) *socket {
	return &socket{protocol: protocol, conn: conn, in: bufio.NewReader(conn)}
}

// Close drops the connection.
func (s *socket) Close() error { return s.conn.Close() }

// send writes one message, whose first byte is prefix.
func (s *socket) send(kind, prefix byte, data []byte) error {
	payload := make([]byte, 0, len(data)+1)
	payload = append(append(payload, prefix), data...)
	return s.frame(kind, payload)
}

func (s *socket) frame(kind byte, payload []byte) error {
	var mask [4]byte
	if _, err := rand.Read(mask[:]); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = append(s.out[:0], frameFinal|kind)
	switch n := len(payload); {
	case n < 126:
		s.out = append(s.out, frameMasked|byte(n))
	case n < 1<<16:
		s.out = append(s.out, frameMasked|126)
		s.out = binary.BigEndian.AppendUint16(s.out, uint16(n))
	default:
		s.out = append(s.out, frameMasked|127)
		s.out = binary.BigEndian.AppendUint64(s.out, uint64(n))
	}
	s.out = append(s.out, mask[:]...)
	for i, b := range payload {
		s.out = append(s.out, b^mask[i%4])
	}
	_, err := s.conn.Write(s.out)
	return err
}

// receive is the next message; io.EOF after the server's close frame.
func (s *socket) receive() ([]byte, error) {
	var message []byte
	for {
		var head [2]byte
		if _, err := io.ReadFull(s.in, head[:]); err != nil {
			return nil, noEOF(err)
		}
		size := uint64(head[1] &^ frameMasked)
		if head[1]&frameMasked != 0 {
			return nil, errors.New("the server masks its frames")
		}
		switch size {
		case 126:
			var n uint16
			if err := binary.Read(s.in, binary.BigEndian, &n); err != nil {
				return nil, noEOF(err)
			}
			size = uint64(n)
		case 127:
			if err := binary.Read(s.in, binary.BigEndian, &size); err != nil {
				return nil, noEOF(err)
			}
		}
		if size > maxMessage || uint64(len(message))+size > maxMessage {
			return nil, fmt.Errorf("the server sends a message of %d bytes", size)
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(s.in, payload); err != nil {
			return nil, noEOF(err)
		}
		switch kind := head[0] & 0x0f; kind {
		case framePing:
			if err := s.frame(framePong, payload); err != nil {
				return nil, err
			}
		case framePong:
		case frameClose:
			return nil, io.EOF
		case frameText, frameBinary, frameContinued:
			message = append(message, payload...)
			if head[0]&frameFinal != 0 {
				return message, nil
			}
		default:
			return nil, fmt.Errorf("the server sends a frame of the unknown kind %d", kind)
		}
	}
}

// noEOF: a connection that ends without a close frame was cut.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
