package serve

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// The routes that do not generate.

func (x *exchange) health() {
	for _, r := range x.replicas {
		if !r.alive() {
			x.reply(http.StatusServiceUnavailable, "", nil)
			return
		}
	}
	x.reply(http.StatusOK, "", nil)
}

// SyntheticField is the field of /version by which the stand-in says what it is.
const SyntheticField = `,"stand_in":"simulated timing, synthetic text"`

func (x *exchange) versionInfo() {
	x.reply(http.StatusOK, jsonType, []byte(`{"version":"`+x.version+`"`+SyntheticField+`}`))
}

func (x *exchange) load() {
	n := int64(0)
	if x.cfg.LoadTracker {
		n = x.tracked.Load()
	}
	x.reply(http.StatusOK, jsonType, []byte(`{"server_load":`+strconv.FormatInt(n, 10)+`}`))
}

func (x *exchange) metrics() {
	x.reply(http.StatusOK, "text/plain; version=1.0.0; charset=utf-8", x.exposeMetrics())
}

func (x *exchange) models() {
	created := strconv.FormatInt(time.Now().Unix(), 10)
	b := []byte(`{"object":"list","data":[`)
	for i, name := range x.names {
		if i > 0 {
			b = append(b, ',')
		}
		r := x.route(name)
		b = append(b, `{"id":`...)
		b = pydantic.AppendString(b, name, false)
		b = append(b, `,"object":"model","created":`+created+`,"owned_by":"vllm","root":`...)
		b = pydantic.AppendString(b, r.deployment.Model.ID, false)
		b = append(b, `,"parent":null,"max_model_len":`+strconv.Itoa(r.deployment.Engine.MaxModelLen)+`,"permission":[{"id":"modelperm-`+randomHex(8)+
			`","object":"model_permission","created":`+created+`,"allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,`+
			`"allow_search_indices":false,"allow_view":true,"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}]}`...)
	}
	x.reply(http.StatusOK, jsonType, append(b, "]}"...))
}

// mountedMetrics is the application under the route of /metrics; it answers other methods and paths below.
func (x *exchange) mountedMetrics() {
	x.status = http.StatusOK
	x.c.StartStream("text/plain; version=0.0.4; charset=utf-8", x.after)
	if x.r.Method == http.MethodHead {
		return
	}
	x.c.Chunk(x.exposeMetrics())
	x.c.EndStream()
}

// noResponse answers for a stored response: there is none, since none is made.
func (x *exchange) noResponse() {
	id := strings.TrimSuffix(strings.TrimPrefix(x.r.Path, "/v1/responses/"), "/cancel")
	x.refuse(&refusal{status: http.StatusNotFound, kind: "invalid_request_error", message: "Response with id '" + id + "' not found.", param: "response_id"})
}

func (x *exchange) notSimulated() {
	x.refuse(&refusal{status: http.StatusNotImplemented, kind: "NotImplementedError", message: "The stand-in does not simulate " + x.r.Path})
}

func (x *exchange) tokenize() {
	b, e := x.json()
	if e != nil {
		x.refuse(e)
		return
	}
	problems := tokenizeModel(false).Check(&b)
	if chat := tokenizeModel(true).Check(&b); len(problems) > 0 && len(chat) > 0 {
		x.refuse(unprocessable(append(problems, chat...)))
		return
	}
	if e := x.knows(b.Get("model").Text); e != nil {
		x.refuse(e)
		return
	}
	if x.tokenizer == nil {
		x.refuse(invalid(noTokenizer))
		return
	}
	text := b.Get("prompt").Text
	if len(problems) > 0 {
		if text, e = chatText(&b); e != nil {
			x.refuse(e)
			return
		}
	}
	ids := x.tokenizer.Encode(text)
	out := append([]byte(`{"count":`), strconv.Itoa(len(ids))...)
	out = append(out, `,"max_model_len":`+strconv.Itoa(x.maxModelLen)+`,"tokens":`...)
	out = appendInts(out, ids)
	out = append(out, `,"token_strs":`...)
	if !b.Get("return_token_strs").Boolean() {
		out = append(out, "null"...)
	} else {
		out = append(out, '[')
		for i, id := range ids {
			if i > 0 {
				out = append(out, ',')
			}
			out = pydantic.AppendString(out, x.tokenizer.Written(id), false)
		}
		out = append(out, ']')
	}
	x.reply(http.StatusOK, jsonType, append(out, '}'))
}

func (x *exchange) detokenize() {
	b, e := x.json()
	if e == nil {
		if problems := detokenizeModel().Check(&b); len(problems) > 0 {
			e = unprocessable(problems)
		}
	}
	if e == nil {
		e = x.knows(b.Get("model").Text)
	}
	if e == nil && x.tokenizer == nil {
		e = invalid(noTokenizer)
	}
	if e != nil {
		x.refuse(e)
		return
	}
	out := pydantic.AppendString([]byte(`{"prompt":`), x.tokenizer.Decode(integers(b.Get("tokens")), false), false)
	x.reply(http.StatusOK, jsonType, append(out, '}'))
}

// knows refuses a model that is not served.
func (s *Server) knows(model string) *refusal {
	if model == "" || s.serves(model) {
		return nil
	}
	return unknownModel(model, s.names)
}

func appendInts(b []byte, ids []int) []byte {
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return append(b, ']')
}
