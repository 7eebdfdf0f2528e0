package live

import (
	"bytes"
	"errors"
	"strconv"
)

// chunk is what one event of a stream says. Only this much is read: a full decode of every event costs more than all
// the rest of the client.
type chunk struct {
	choices    int    // of the event; the usage event has none
	text       bool   // some choice carries text, reasoning or a tool call
	role       bool   // the first event of a chat answer, which carries no token
	finish     finish // of the first choice
	usage      bool
	prompt     int // tokens, if usage
	completion int
	cached     int
	failed     []byte // the error object, if the event is one; valid until the next event
}

// finish is why an answer ended.
type finish byte

const (
	unfinished finish = iota
	finishedStop
	finishedLength
	finishedAbort
	finishedError
	finishedOther
)

func finishOf(reason []byte) finish {
	switch string(reason) {
	case "stop":
		return finishedStop
	case "length":
		return finishedLength
	case "abort":
		return finishedAbort
	case "error":
		return finishedError
	}
	return finishedOther
}

// decodeChunk reads the JSON of one event.
func decodeChunk(data []byte) (chunk, error) {
	s := scanner{data: data}
	var c chunk
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "choices":
			return s.array(func() error {
				c.choices++
				return s.choice(&c)
			})
		case "usage":
			if s.null() {
				return nil
			}
			c.usage = true
			return s.usage(&c)
		case "error":
			if s.null() {
				return nil
			}
			from := s.at
			if err := s.skip(); err != nil {
				return err
			}
			c.failed = bytes.TrimSpace(s.data[from:s.at])
			return nil
		}
		return s.skip()
	})
	if err == nil {
		err = s.end()
	}
	return c, err
}

func (s *scanner) choice(c *chunk) error {
	return s.object(func(key []byte) error {
		switch string(key) {
		case "text":
			return s.filled(&c.text)
		case "delta":
			if s.null() {
				return nil
			}
			return s.object(func(key []byte) error {
				switch string(key) {
				case "role":
					c.role = true
				case "content", "reasoning", "reasoning_content", "tool_calls", "function_call":
					return s.filled(&c.text)
				}
				return s.skip()
			})
		case "finish_reason":
			if s.null() {
				return nil
			}
			text, err := s.text()
			if c.choices == 1 {
				c.finish = finishOf(text)
			}
			return err
		}
		return s.skip()
	})
}

func (s *scanner) usage(c *chunk) error {
	return s.object(func(key []byte) error {
		switch string(key) {
		case "prompt_tokens":
			return s.count(&c.prompt)
		case "completion_tokens":
			return s.count(&c.completion)
		case "prompt_tokens_details":
			if s.null() {
				return nil
			}
			return s.object(func(key []byte) error {
				if string(key) == "cached_tokens" {
					return s.count(&c.cached)
				}
				return s.skip()
			})
		}
		return s.skip()
	})
}

var errJSON = errors.New("not the JSON of an event")

// maxDepth bounds nesting: an event has five levels.
const maxDepth = 64

// scanner walks over JSON without building it. It accepts all that is valid and some that is not (control characters
// in strings, numbers such as 1.2.3): it looks for figures, it is no validator.
type scanner struct {
	data  []byte
	at    int
	depth int
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take consumes b if it is next.
func (s *scanner) take(b byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == b {
		s.at++
		return true
	}
	return false
}

func (s *scanner) end() error {
	if s.space(); s.at != len(s.data) {
		return errJSON
	}
	return nil
}

// null consumes a null.
func (s *scanner) null() bool {
	s.space()
	if bytes.HasPrefix(s.data[s.at:], []byte("null")) {
		s.at += 4
		return true
	}
	return false
}

// text reads a string, its escapes left as they are.
func (s *scanner) text() ([]byte, error) {
	if !s.take('"') {
		return nil, errJSON
	}
	from := s.at
	for {
		i := bytes.IndexByte(s.data[s.at:], '"')
		if i < 0 {
			return nil, errJSON
		}
		s.at += i + 1
		escapes := 0
		for j := s.at - 2; j >= from && s.data[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return s.data[from : s.at-1], nil
		}
	}
}

// object reads one, calling value with each key; value consumes what follows it.
func (s *scanner) object(value func(key []byte) error) error {
	if !s.take('{') || s.depth == maxDepth {
		return errJSON
	}
	s.depth++
	defer func() { s.depth-- }()
	if s.take('}') {
		return nil
	}
	for {
		key, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return errJSON
		}
		if err := value(key); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return errJSON
		}
	}
}

func (s *scanner) array(value func() error) error {
	if !s.take('[') || s.depth == maxDepth {
		return errJSON
	}
	s.depth++
	defer func() { s.depth-- }()
	if s.take(']') {
		return nil
	}
	for {
		if err := value(); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return errJSON
		}
	}
}

// skip passes over any value.
func (s *scanner) skip() error {
	s.space()
	if s.at == len(s.data) {
		return errJSON
	}
	switch s.data[s.at] {
	case '"':
		_, err := s.text()
		return err
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.array(s.skip)
	}
	from := s.at
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n', '"', '{', '[', ':':
			if s.at == from {
				return errJSON
			}
			return nil
		}
		s.at++
	}
	return nil
}

// filled sets *is if the value is neither null nor empty.
func (s *scanner) filled(is *bool) error {
	s.space()
	from := s.at
	if err := s.skip(); err != nil {
		return err
	}
	switch string(s.data[from:s.at]) {
	case "null", `""`, "[]", "{}":
	default:
		*is = true
	}
	return nil
}

// count reads a number of tokens; a null is none.
func (s *scanner) count(n *int) error {
	s.space()
	from := s.at
	if err := s.skip(); err != nil {
		return err
	}
	v, err := strconv.Atoi(string(s.data[from:s.at]))
	if err == nil && v >= 0 {
		*n = v
	}
	return nil
}
