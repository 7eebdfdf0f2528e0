package backtest

import (
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// modelRoot is where a running server has its model, which is nobody's business.
var modelRoot = regexp.MustCompile(`"root":"[^"]*"`)

// replayLive sends an exchange to a running server. What needs a scene is skipped, and what was recorded from a server
// with a key or without a tokenizer: one server is not both.
func replayLive(x *exchange, server string) (got *answer, skip bool, err error) {
	for _, part := range []string{"kill-", "sigterm-", "preempt-", "disconnect-", "queued-", "load-", "metrics-", "prefix-", "keep-alive-"} {
		if strings.HasPrefix(x.name(), part) {
			return nil, true, nil
		}
	}
	line, err := parseCommand(x.Server)
	if err != nil || line.has("skip-tokenizer-init") || line.has("api-key") {
		return nil, true, err
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, false, err
	}
	conn, err := net.DialTimeout("tcp", u.Host, 10*time.Second)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return nil, false, err
	}
	c := send(conn, x.raw())
	<-c.done
	c.got.Body = modelRoot.ReplaceAllString(c.got.Body, `"root":"<model>"`)
	return &c.got, false, nil
}
