// Command hammer measures how fast an OpenAI-compatible server answers on keep-alive connections. It parses no more of
// an answer than it must, because it shares the machine with what it measures.
//
//	go run ./harness/serve/hammer -addr 127.0.0.1:8000                       # completions of 16 ids in, 1 out
//	go run ./harness/serve/hammer -addr 127.0.0.1:8000 -stream -output 128   # streams, with their inter-token latency
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type load struct {
	addr           string
	conns          int
	seconds        float64
	prompt, output int
	stream         bool
	once           bool
}

func main() {
	var l load
	flag.StringVar(&l.addr, "addr", "127.0.0.1:8000", "server")
	flag.IntVar(&l.conns, "conns", 256, "connections, one request at a time on each")
	flag.Float64Var(&l.seconds, "seconds", 5, "how long")
	flag.IntVar(&l.prompt, "prompt", 16, "token ids in")
	flag.IntVar(&l.output, "output", 1, "tokens out")
	flag.BoolVar(&l.stream, "stream", false, "stream the tokens")
	flag.BoolVar(&l.once, "once", false, "one request on each connection, then stop")
	flag.Parse()
	if err := l.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hammer:", err)
		os.Exit(2)
	}
}

// request is the bytes that one connection repeats; each connection has a prompt of its own.
func (l *load) request(conn int) []byte {
	ids := make([]string, l.prompt)
	for i := range ids {
		ids[i] = strconv.Itoa(5 + i + conn)
	}
	body := fmt.Sprintf(`{"prompt": [%s], "max_tokens": %d, "temperature": 0, "ignore_eos": true`, strings.Join(ids, ", "), l.output)
	if l.stream {
		body += `, "stream": true`
	}
	body += "}"
	return fmt.Appendf(nil, "POST /v1/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", l.addr, len(body), body)
}

// tally is what the connections have seen.
type tally struct {
	done, events atomic.Int64
	mu           sync.Mutex
	gaps         []float64 // ms, mean of each stream
	first        []float64 // ms
}

func (l *load) run(out io.Writer) error {
	var t tally
	stop := make(chan struct{})
	errs := make(chan error, l.conns)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range l.conns {
		conn, err := net.Dial("tcp", l.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := l.drive(conn, l.request(i), &t, stop); err != nil {
				errs <- err
			}
		}()
	}
	if !l.once {
		time.Sleep(time.Duration(l.seconds * float64(time.Second)))
		close(stop)
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	select {
	case err := <-errs:
		return err
	default:
	}
	t.print(out, took, l.stream)
	return nil
}

func (t *tally) print(out io.Writer, took float64, stream bool) {
	fmt.Fprintf(out, "%d answers in %.2f s: %.0f/s", t.done.Load(), took, float64(t.done.Load())/took)
	if stream {
		fmt.Fprintf(out, ", %.0f events/s", float64(t.events.Load())/took)
		slices.Sort(t.gaps)
		slices.Sort(t.first)
		if n := len(t.gaps); n > 0 {
			fmt.Fprintf(out, "\nmean ITL of a stream: mean %.4f ms, p50 %.4f, p99 %.4f; TTFT: mean %.3f ms, p50 %.3f, p99 %.3f",
				mean(t.gaps), t.gaps[n/2], t.gaps[n*99/100], mean(t.first), t.first[n/2], t.first[n*99/100])
		}
	}
	fmt.Fprintln(out)
}

func mean(xs []float64) (m float64) {
	for _, x := range xs {
		m += x
	}
	return m / float64(len(xs))
}

// drive repeats the request on one connection.
func (l *load) drive(conn net.Conn, request []byte, t *tally, stop <-chan struct{}) error {
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		sent := time.Now()
		if _, err := conn.Write(request); err != nil {
			return err
		}
		length, err := head(r)
		if err != nil {
			return err
		}
		if length >= 0 {
			_, err = r.Discard(length)
		} else {
			err = l.events(r, t, sent)
		}
		if err != nil {
			return err
		}
		t.done.Add(1)
		if l.once {
			return nil
		}
	}
}

// head skips status line and headers; the length is -1 for a chunked answer.
func head(r *bufio.Reader) (length int, err error) {
	length = -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return 0, fmt.Errorf("answer %q", line)
		case len(line) == 2:
			return length, nil
		case bytes.HasPrefix(line, []byte("content-length: ")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[16:]))); err != nil {
				return 0, err
			}
		}
	}
}

// events reads a stream to its end and times it.
func (l *load) events(r *bufio.Reader, t *tally, sent time.Time) error {
	var first, last time.Time
	n := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(line[:len(line)-2]), 16, 31)
		if err != nil {
			return err
		}
		if size == 0 {
			if _, err := r.Discard(2); err != nil {
				return err
			}
			break
		}
		if _, err := r.Discard(int(size) + 2); err != nil {
			return err
		}
		n++
		if n <= l.output { // [DONE] is no token
			last = time.Now()
			if n == 1 {
				first = last
			}
		}
	}
	t.events.Add(int64(n))
	if l.output > 1 {
		t.mu.Lock()
		t.gaps = append(t.gaps, last.Sub(first).Seconds()*1e3/float64(l.output-1))
		t.first = append(t.first, first.Sub(sent).Seconds()*1e3)
		t.mu.Unlock()
	}
	return nil
}
