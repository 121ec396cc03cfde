package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/kn-lite/kn-lite/internal/sandbox"
)

const (
	nameTimeout = 3 * time.Second // of one resolver
	nameJobs    = 64              // questions of a pod at a time
	maxName     = 64 << 10
)

// serveNames answers a pod's questions for names, at port 53 of its loopback address,
// until the pod is gone.
func (n *Network) serveNames(ctx context.Context, p *sandbox.Pod) error {
	packets, err := p.ListenPacket(ctx, 53)
	if err != nil {
		return err
	}
	listener, err := p.Listen(ctx, 53)
	if err != nil {
		return errors.Join(err, packets.Close())
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	jobs := make(chan struct{}, nameJobs)
	go func() {
		<-p.Done()
		end()
		_ = errors.Join(packets.Close(), listener.Close())
	}()
	go n.servePackets(life, packets, jobs)
	go n.serveStreams(life, listener, jobs)
	return nil
}

func (n *Network) servePackets(ctx context.Context, packets net.PacketConn, jobs chan struct{}) {
	buffer := make([]byte, 4096)
	for {
		size, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return
		}
		question := append([]byte(nil), buffer[:size]...)
		jobs <- struct{}{}
		go func() {
			defer func() { <-jobs }()
			if answer := n.resolve(ctx, "udp", question); answer != nil {
				_, _ = packets.WriteTo(answer, from)
			}
		}()
	}
}

func (n *Network) serveStreams(ctx context.Context, listener net.Listener, jobs chan struct{}) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		jobs <- struct{}{}
		go func() {
			defer func() { <-jobs }()
			defer conn.Close()
			for {
				_ = conn.SetDeadline(time.Now().Add(4 * nameTimeout))
				question, err := readFramed(conn)
				if err != nil {
					return
				}
				answer := n.resolve(ctx, "tcp", question)
				if answer == nil || writeFramed(conn, answer) != nil {
					return
				}
			}
		}()
	}
}

// resolve answers a question: that for a function by itself, and others as this
// machine's resolvers do. nil is no answer.
func (n *Network) resolve(ctx context.Context, network string, question []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(question)
	if err != nil || header.Response {
		return nil
	}
	asked, err := parser.Question()
	if err != nil {
		return respond(header, nil, dnsmessage.RCodeFormatError)
	}
	local, known := n.function(asked.Name.String())
	switch {
	case local && known:
		return respond(header, &asked, dnsmessage.RCodeSuccess)
	case local, !n.Open:
		return respond(header, &asked, dnsmessage.RCodeNameError)
	}
	for _, upstream := range n.resolvers() {
		if answer := forward(ctx, network, upstream, question); answer != nil {
			return answer
		}
	}
	return respond(header, &asked, dnsmessage.RCodeServerFailure)
}

func respond(header dnsmessage.Header, asked *dnsmessage.Question, code dnsmessage.RCode) []byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true, RCode: code,
	})
	b.EnableCompression()
	var err error
	if asked != nil {
		err = errors.Join(b.StartQuestions(), b.Question(*asked))
	}
	if err == nil && code == dnsmessage.RCodeSuccess && asked.Type == dnsmessage.TypeA {
		err = errors.Join(b.StartAnswers(), b.AResource(
			dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET, TTL: 5},
			dnsmessage.AResource{A: routerAddress().As4()},
		))
	}
	answer, finishErr := b.Finish()
	if err != nil || finishErr != nil {
		return nil
	}
	return answer
}

// forward passes a question on.
func forward(ctx context.Context, network, upstream string, question []byte) []byte {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, upstream)
	if err != nil {
		return nil
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if network == "tcp" {
		if writeFramed(conn, question) != nil {
			return nil
		}
		answer, err := readFramed(conn)
		if err != nil {
			return nil
		}
		return answer
	}
	if _, err := conn.Write(question); err != nil {
		return nil
	}
	buffer := make([]byte, maxName)
	for {
		size, err := conn.Read(buffer)
		if err != nil {
			return nil
		}
		if size >= 2 && buffer[0] == question[0] && buffer[1] == question[1] {
			return buffer[:size]
		}
	}
}

func readFramed(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeFramed(w io.Writer, message []byte) error {
	if len(message) >= maxName {
		return errors.New("too long a message")
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// resolvers are those of this machine, which may change while it runs.
func (n *Network) resolvers() []string {
	if n.upstreams != nil {
		return n.upstreams()
	}
	raw, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "nameserver" {
			out = append(out, net.JoinHostPort(words[1], "53"))
		}
	}
	return out
}
