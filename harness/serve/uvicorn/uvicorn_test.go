package uvicorn_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/testing-symbiote/symbiote/harness/serve/uvicorn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers with what it was asked.
func echo(c *uvicorn.Conn, r *uvicorn.Request) {
	host, _ := r.Header("HOST")
	c.Reply(uvicorn.Reply{Status: 200, Type: "text/plain", After: "vary: Origin\r\n",
		Body: fmt.Appendf(nil, "%s|%s|%s|%s|%s", r.Method, r.Path, r.Query, host, r.Body)})
}

// talk sends bytes on one connection and returns all that comes back until the server is done with it.
func talk(t *testing.T, s *uvicorn.Server, parts ...string) string {
	t.Helper()
	near, far := net.Pipe()
	s.Start(far)
	go func() {
		for _, p := range parts {
			io.WriteString(near, p)
		}
	}()
	b, err := io.ReadAll(near)
	require.NoError(t, err)
	near.Close()
	return string(b)
}

func TestAnswers(t *testing.T) {
	const date = "date: Sat, 01 Jan 2000 00:00:00 GMT\r\nserver: uvicorn\r\n"
	ok := func(body, more string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%scontent-length: %d\r\ncontent-type: text/plain\r\nvary: Origin\r\n%s\r\n%s", date, len(body), more, body)
	}
	invalid := "HTTP/1.1 400 Bad Request\r\n" + date + "content-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\nInvalid HTTP request received."
	for _, c := range []struct {
		name  string
		parts []string
		want  string
	}{
		{"one", []string{"GET /a%20b?q=1 HTTP/1.1\r\nhost: x\r\n\r\n"}, ok("GET|/a b|q=1|x|", "")},
		{"in pieces", []string{"GE", "T / HTTP/1.1\r\n", "Host: x\r\n\r", "\n"}, ok("GET|/||x|", "")},
		{"with a body", []string{"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"}, ok("POST|/|||abc", "")},
		{"a chunked body", []string{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"}, ok("POST|/|||abc", "")},
		{"two at once", []string{"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"}, ok("GET|/1|||", "") + ok("GET|/2|||", "")},
		{"blank lines first", []string{"\r\n\r\nGET / HTTP/1.1\r\n\r\n"}, ok("GET|/|||", "")},
		{"close", []string{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"}, ok("GET|/|||", "connection: close\r\n")},
		{"HTTP/1.0", []string{"GET / HTTP/1.0\r\n\r\n"}, ok("GET|/|||", "connection: close\r\n")},
		{"no HTTP", []string{"hello\r\n\r\n"}, invalid},
		{"no version", []string{"GET /\r\n\r\n"}, invalid},
		{"two lengths", []string{"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"}, invalid},
		{"length and chunks", []string{"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, invalid},
		{"a bad header", []string{"GET / HTTP/1.1\r\na b: c\r\n\r\n"}, invalid},
		{"too many headers", []string{"GET / HTTP/1.1\r\n" + strings.Repeat("a: b\r\n", 10) + "\r\n"}, invalid},
		{"too long a header", []string{"GET / HTTP/1.1\r\na: " + strings.Repeat("b", 2000) + "\r\n\r\n"}, invalid},
		{"too large a body", []string{"POST / HTTP/1.1\r\nContent-Length: 65\r\n\r\n"},
			"HTTP/1.1 413 Request Entity Too Large\r\n" + date + "content-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\nrequest body too large"},
		{"expect", []string{"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", "ab"},
			"HTTP/1.1 100 Continue\r\n\r\n" + ok("POST|/|||ab", "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := uvicorn.New(uvicorn.Limits{Header: 1000, HeaderCount: 8, Body: 64}, echo)
				require.Equal(t, c.want, talk(t, s, c.parts...))
				s.Close()
			})
		})
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := uvicorn.New(uvicorn.Limits{Conns: 2}, echo)
		var near [3]net.Conn
		for i := range near {
			var far net.Conn
			near[i], far = net.Pipe()
			s.Start(far)
		}
		require.Equal(t, 2, s.Conns())
		_, err := near[2].Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		time.Sleep(2 * time.Minute) // silent clients are not kept for ever
		require.Equal(t, 0, s.Conns())
		s.Close()
	})
}

func TestDrainEndsIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := uvicorn.New(uvicorn.Limits{}, func(c *uvicorn.Conn, r *uvicorn.Request) {
			if r.Path == "/slow" {
				<-hold
			}
			echo(c, r)
		})
		idle, far := net.Pipe()
		s.Start(far)
		slow, far := net.Pipe()
		s.Start(far)
		go io.WriteString(slow, "GET /slow HTTP/1.1\r\n\r\n")
		synctest.Wait()
		s.Drain()
		_, err := idle.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 1, s.Conns())
		close(hold)
		b, err := io.ReadAll(slow)
		require.NoError(t, err)
		require.Contains(t, string(b), "/slow")
		s.Wait()
		s.Close()
	})
}

func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\n\r\n", "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "GET http://h/p?q HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", "\r\n\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := uvicorn.New(uvicorn.Limits{Header: 1 << 10, Body: 1 << 10}, echo)
			near, far := net.Pipe()
			s.Start(far)
			go near.Write(b)
			answer, _ := io.ReadAll(near)
			require.True(t, len(answer) == 0 || strings.HasPrefix(string(answer), "HTTP/1.1 "), "%q", answer)
			near.Close()
			s.Close()
		})
	})
}
