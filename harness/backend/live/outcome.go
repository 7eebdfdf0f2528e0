package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	openai "github.com/sashabaranov/go-openai"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

// WrongLength is an answer or a prompt that did not have the asked number of tokens: the server did not honour
// ignore_eos and min_tokens, or counts the prompt differently.
const WrongLength failure.Class = "wrong_length"

// outcome is how a request ended. The zero outcome is a complete answer.
type outcome struct {
	class   failure.Class
	detail  string
	stopped bool // we ended it, because the run was
}

// Reasons for which the client itself gives a request up.
var (
	errStalled = errors.New("no byte came")
	errTimeout = errors.New("the answer took too long")
)

// engineDead is what vLLM answers once its engine is gone, as a body and as an event.
const engineDead = "EngineCore encountered an issue"

// broken classifies an error of the connection or of our own patience. cause is the context's, which knows why it was
// cancelled.
func broken(err, cause error) outcome {
	for _, own := range []struct {
		err   error
		class failure.Class
	}{
		{errStalled, failure.Stalled}, {errTimeout, failure.TimedOut},
	} {
		if errors.Is(cause, own.err) {
			return outcome{class: own.class, detail: cause.Error()}
		}
	}
	if cause != nil {
		return outcome{class: failure.Aborted, detail: "the run was stopped: " + cause.Error(), stopped: true}
	}
	var dns *net.DNSError
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &dns):
		return outcome{class: failure.Refused, detail: err.Error()}
	case errors.As(err, &op) && op.Op == "dial":
		return outcome{class: failure.Refused, detail: err.Error()}
	case errors.As(err, &timeout) && timeout.Timeout():
		return outcome{class: failure.TimedOut, detail: err.Error()}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return outcome{class: failure.ConnectionLost, detail: err.Error()}
	}
	if strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "server closed idle connection") ||
		strings.Contains(err.Error(), "transport connection broken") {
		return outcome{class: failure.ConnectionLost, detail: err.Error()}
	}
	return outcome{class: failure.Unknown, detail: err.Error()}
}

// refusal classifies an answer that is not 200.
func refusal(status int, body []byte) outcome {
	text := message(body)
	detail := fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text)
	switch {
	case strings.Contains(text, engineDead):
		return outcome{class: failure.EngineDied, detail: detail}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return outcome{class: failure.Overloaded, detail: detail}
	case status >= 500:
		return outcome{class: failure.ServerError, detail: detail}
	}
	return outcome{class: failure.Rejected, detail: detail}
}

// streamError classifies an error event inside a stream, whose HTTP status was 200 long before. What the engine
// refuses only there (a prompt of exactly max_model_len, a token outside the vocabulary) carries a code of 4xx.
func streamError(object []byte) outcome {
	text := message(append(append([]byte(`{"error":`), object...), '}'))
	if strings.Contains(text, engineDead) {
		return outcome{class: failure.EngineDied, detail: text}
	}
	return outcome{class: failure.StreamError, detail: text}
}

// maxDetail bounds an error text: a server may quote a prompt of megabytes.
const maxDetail = 500

// message is the text of an error body in OpenAI's form, or the body itself.
func message(body []byte) string {
	var e openai.ErrorResponse
	text := strings.TrimSpace(string(body))
	if json.Unmarshal(body, &e) == nil && e.Error != nil && e.Error.Message != "" {
		text = e.Error.Message
	}
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}
