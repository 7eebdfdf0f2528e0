package serve

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// A refusal is an answer that is an error, in vLLM's words.
type refusal struct {
	status  int
	kind    string // the type that the body names
	message string
	param   string // "" = null
	bare    bool   // raised outside vLLM's handlers: the answer lacks the middlewares' headers
}

// invalid refuses a value of the request.
func invalid(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, kind: "BadRequestError", message: message}
}

// of names the parameter that the refusal is about.
func (e *refusal) of(param string) *refusal { e.param = param; return e }

// about names the parameter and, if there is one, the value, in the body and in the message.
func (e *refusal) about(param, value string) *refusal {
	e.param = param
	e.message += " (parameter=" + param
	if value != "" {
		e.message += ", value=" + value
	}
	e.message += ")"
	return e
}

// unprocessable reports what pydantic refused.
func unprocessable(problems []pydantic.Problem) *refusal {
	message, param := pydantic.Summary(problems)
	return &refusal{status: http.StatusBadRequest, kind: "Bad Request", message: message, param: param}
}

func unknownModel(name string, served []string) *refusal {
	return &refusal{
		status: http.StatusNotFound, kind: "NotFoundError", param: "model",
		message: "The model `" + name + "` does not exist. Valid aliases: " + strings.Join(served, ", ") + ".",
	}
}

func engineDead() *refusal {
	return &refusal{
		status: http.StatusInternalServerError, kind: "InternalServerError",
		message: "EngineCore encountered an issue. See stack trace (above) for the root cause.",
	}
}

func busy(message string) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, kind: "Service Unavailable", message: message}
}

const (
	tooManyRequests = "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance."
	tooManyTokens   = "The engine has reached its prefill token backlog limit. Please try again later or on a different instance."
)

// appendBody appends the error object: compact in an answer, spaced and in ASCII as an event inside a stream.
func (e *refusal) appendBody(b []byte, inStream bool) []byte {
	colon, comma := ":", ","
	if inStream {
		colon, comma = ": ", ", "
	}
	b = append(b, `{"error"`+colon+`{"message"`+colon...)
	b = pydantic.AppendString(b, sanitize(e.message), inStream)
	b = append(b, comma+`"type"`+colon...)
	b = pydantic.AppendString(b, e.kind, inStream)
	b = append(b, comma+`"param"`+colon...)
	if e.param == "" {
		b = append(b, "null"...)
	} else {
		b = pydantic.AppendString(b, e.param, inStream)
	}
	b = append(b, comma+`"code"`+colon...)
	b = strconv.AppendInt(b, int64(e.status), 10)
	return append(b, "}}"...)
}

// The patterns of addresses, tracebacks and paths that vLLM takes out of its messages. None is written to.
var (
	addresses  = regexp.MustCompile(` at 0x[0-9a-fA-F]+>`)
	tracebacks = regexp.MustCompile(`\n?\s*File "[^"]+", line \d+, in \S+(\n\s+.*)?`)
	systemPath = regexp.MustCompile(`/(?:home|usr|opt|var|tmp|root|lib|mnt|srv)(?:/[\w.\-]+)+`)
	anyPath    = regexp.MustCompile(`(?:/[\w\-]+)+/[\w\-]+\.\w+`)
)

func sanitize(message string) string {
	if strings.ContainsAny(message, "/>") || strings.Contains(message, "File ") {
		message = addresses.ReplaceAllString(message, ">")
		message = tracebacks.ReplaceAllString(message, "")
		message = systemPath.ReplaceAllString(message, "<path>")
		message = anyPath.ReplaceAllString(message, "<path>")
	}
	return strings.TrimSpace(message)
}
