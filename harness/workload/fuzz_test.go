package workload

import (
	"bytes"
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Whatever the file, the reader says what is wrong with it or returns a trace that can be played to its end.
func FuzzDecodeTrace(f *testing.F) {
	f.Add([]byte("arrival_s,prompt_tokens,output_tokens\n0,1,1\n0.5,7,3\n"), 0, 0)
	f.Add([]byte("arrival_s,prompt_tokens,output_tokens,hash_ids,stage\n0,100,5,1;2,0\n1e3,64,5,1,1\n"), 64, 0)
	f.Add([]byte("prompt_id,arrival_s,prompt_tokens,output_tokens,cached_tokens\n\"a\",0,100,5,\nb,0,64,5,16\n"), 0, 10)
	f.Fuzz(func(t *testing.T, data []byte, block, prefix int) {
		tr, err := DecodeTrace("f.csv", bytes.NewReader(data), TraceOptions{HashBlockTokens: block, PrefixTokens: prefix})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.csv") {
				t.Fatalf("an error that does not name the file: %v", err)
			}
			return
		}
		n, last := 0, units.Time(0)
		for p := (Load{Rows: tr}).Play(); ; n++ {
			if _, ok := p.Next(); !ok {
				break
			}
			r := p.Send()
			shared := units.Tokens(0)
			for _, s := range r.Shared {
				shared += s.Len
			}
			if r.At < last || r.Prompt < 1 || r.Output < 1 || shared > r.Prompt || r.Cached > r.Prompt {
				t.Fatalf("request %d: %+v after %v", n, r, last)
			}
			last = r.At
		}
		if n != tr.Len() {
			t.Fatalf("%d requests were sent of %d", n, tr.Len())
		}
	})
}

// Whatever the file, the reader says what is wrong with it or returns a load that can be played.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("arrivals: {kind: gamma, rate: 8, cv: 3}\nrequests: 6\nprompt_tokens: lognormal:170,80,16,1024\noutput_tokens: 100\n"))
	f.Add([]byte("{arrivals: {kind: profile, stages: [[1, 5], [2, 0]]}, prompt_tokens: 3, output_tokens: uniform:1,4, seed: 2}"))
	f.Add([]byte("{arrivals: {kind: onoff, rate: 3}, requests: 4, prompt_tokens: 3, output_tokens: 4, shared_prefix_tokens: 2, prefix_groups: 1}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Decode("f.yaml", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yaml") {
				t.Fatalf("an error that does not name the file: %v", err)
			}
			return
		}
		last := units.Time(0)
		p := l.Play()
		for range 50 {
			at, ok := p.Next()
			if !ok {
				return
			}
			if at < last {
				t.Fatalf("%v after %v", at, last)
			}
			r := p.Send()
			last = at
			p.Done(r.ID, at)
		}
	})
}
