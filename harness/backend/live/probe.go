package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/testing-symbiote/symbiote/harness/vllm"
)

// Server is what an endpoint says of itself.
type Server struct {
	URL         string // without /v1
	Model       string // as requests name it
	Root        string // what the model was loaded from
	MaxModelLen int    // 0 where it does not say
	Version     string // of vLLM; empty where it is none
}

// transport is a connection pool for so many requests at once. The defaults of net/http keep two idle connections,
// so that a load generator opens a new one for nearly every request and runs out of ports.
func transport(inFlight int) *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        inFlight,
		MaxIdleConnsPerHost: inFlight,
		MaxConnsPerHost:     0,               // the dispatcher holds the limit; a queue in here would hide behind "sent"
		IdleConnTimeout:     4 * time.Second, // vLLM closes idle connections after 5 s: we do it first
		DisableCompression:  true,
		ReadBufferSize:      64 << 10,
		WriteBufferSize:     32 << 10,
	}
}

func httpClient(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// base checks an endpoint's address and cuts it down to where /health and /metrics are.
func base(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return "", fmt.Errorf("endpoint %q, want an address such as http://127.0.0.1:8000: %w", endpoint, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", fmt.Errorf("endpoint %q, want an address such as http://127.0.0.1:8000", endpoint)
	case u.User != nil:
		return "", errors.New("endpoint: its address holds a password, and addresses are printed: give the key as -api-key")
	}
	u.RawQuery, u.Fragment = "", ""
	return strings.TrimSuffix(strings.TrimSuffix(u.String(), "/"), "/v1"), nil
}

// look asks an endpoint who it is, with GET requests alone: nothing of it shows in a benchmark's counters.
func look(ctx context.Context, client *http.Client, endpoint, key, model string) (Server, error) {
	root, err := base(endpoint)
	if err != nil {
		return Server{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s := Server{URL: root, Model: model}
	config := openai.DefaultConfig(key)
	config.BaseURL, config.HTTPClient = root+"/v1", client
	_, err = openai.NewClientWithConfig(config).ListModels(ctx)
	var api *openai.APIError
	var request *openai.RequestError
	status := 0
	if errors.As(err, &request) { // it may wrap an APIError that does not know its status
		status = request.HTTPStatusCode
	} else if errors.As(err, &api) {
		status = api.HTTPStatusCode
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return s, fmt.Errorf("%s/v1/models answers %d: the endpoint wants another API key", root, status)
	case err != nil && status == 0:
		return s, fmt.Errorf("%s does not answer: %s", root, redact(err.Error(), key))
	}
	// go-openai drops what vLLM adds (root, max_model_len), so the list is read once more.
	if err := s.models(ctx, client, key); err != nil {
		return s, err
	}
	var version struct{ Version string }
	if getJSON(ctx, client, root+"/version", key, &version) == nil {
		s.Version = version.Version
	}
	return s, nil
}

func (s *Server) models(ctx context.Context, client *http.Client, key string) error {
	var list struct {
		Data []struct {
			ID          string `json:"id"`
			Root        string `json:"root"`
			MaxModelLen int    `json:"max_model_len"`
		} `json:"data"`
	}
	err := getJSON(ctx, client, s.URL+"/v1/models", key, &list)
	if err != nil || len(list.Data) == 0 {
		if s.Model == "" {
			return fmt.Errorf("%s/v1/models names no model: say which with -model", s.URL)
		}
		return nil // not every server lists its models
	}
	var names []string
	for _, m := range list.Data {
		if s.Model == "" || s.Model == m.ID || s.Model == m.Root {
			s.Model, s.Root, s.MaxModelLen = m.ID, m.Root, m.MaxModelLen
			return nil
		}
		names = append(names, m.ID)
	}
	return fmt.Errorf("%s serves %s, not %s", s.URL, strings.Join(names, ", "), s.Model)
}

func getJSON(ctx context.Context, client *http.Client, url, key string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(into)
}

func redact(text, key string) string {
	if key == "" {
		return text
	}
	return strings.ReplaceAll(text, key, "***")
}

// health is what /health says: 200, 503 once the engine is dead, 0 where nobody answers.
func health(ctx context.Context, client *http.Client, root string) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root+"/health", nil)
	if err != nil {
		return 0
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// scrape reads /metrics within a bounded time; an endpoint without the page is no error, only less to check.
func scrape(ctx context.Context, client *http.Client, root string) (vllm.Metrics, bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	m, err := vllm.Scrape(ctx, client, root)
	return m, err == nil && len(m.Missing) < 8 // a page of something else knows none of our names
}
