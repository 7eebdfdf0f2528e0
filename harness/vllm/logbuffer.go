package vllm

import (
	"io"
	"strings"
	"sync"
)

// A logBuffer keeps the beginning and the end of a log in bounded memory: causes of a failed start stand early, causes
// of a death late, and what is between is request after request.
type logBuffer struct {
	also   io.Writer
	secret string

	mu   sync.Mutex
	head []byte
	tail []byte // the last bytes after head; at most 2×keep, cut to keep when full
	cut  int    // bytes dropped between them
}

const keep = 512 << 10

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.also != nil {
		b.also.Write([]byte(b.redact(string(p)))) // a full disk must not stop the server
	}
	rest := p
	if room := keep - len(b.head); room > 0 {
		n := min(room, len(rest))
		b.head = append(b.head, rest[:n]...)
		rest = rest[n:]
	}
	b.tail = append(b.tail, rest...)
	if len(b.tail) > 2*keep {
		drop := len(b.tail) - keep
		b.cut += drop
		b.tail = append(b.tail[:0], b.tail[drop:]...)
	}
	return len(p), nil
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := string(b.head)
	if b.cut > 0 {
		text += "\n[… left out …]\n"
	}
	return b.redact(text + string(b.tail))
}

func (b *logBuffer) redact(text string) string {
	if b.secret == "" {
		return text
	}
	return strings.ReplaceAll(text, b.secret, "***")
}
