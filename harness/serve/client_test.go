package serve_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/serve"
)

// The Go client that most programs use, unchanged, over a real socket.
func TestGoOpenAI(t *testing.T) {
	s := start(t, serve.Config{Timer: serve.Fixed(0), APIKeys: []string{"key"}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	web := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(web.CloseIdleConnections)
	cfg := openai.DefaultConfig("key")
	cfg.BaseURL, cfg.HTTPClient = "http://"+l.Addr().String()+"/v1", web
	c, ctx := openai.NewClientWithConfig(cfg), context.Background()

	models, err := c.ListModels(ctx)
	require.NoError(t, err)
	require.Equal(t, "small", models.Models[0].ID)

	whole, err := c.CreateCompletion(ctx, openai.CompletionRequest{Model: "small", Prompt: "kalomi nerusa", MaxTokens: 4})
	require.NoError(t, err)
	require.Equal(t, " kasati mivone kasati mivone", whole.Choices[0].Text)
	require.Equal(t, 7, whole.Usage.TotalTokens)

	ask := openai.ChatCompletionRequest{
		Model: "small", MaxCompletionTokens: 3, Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "kalomi"}},
		StreamOptions: &openai.StreamOptions{IncludeUsage: true},
	}
	stream, err := c.CreateChatCompletionStream(ctx, ask)
	require.NoError(t, err)
	text, usage := "", 0
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		for _, choice := range e.Choices {
			text += choice.Delta.Content
		}
		if e.Usage != nil {
			usage = e.Usage.CompletionTokens
		}
	}
	require.NoError(t, stream.Close())
	require.Equal(t, " kasati mivone kasati", text)
	require.Equal(t, 3, usage)

	_, err = c.CreateCompletion(ctx, openai.CompletionRequest{Model: "none", Prompt: "x"})
	var refused *openai.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusNotFound, refused.HTTPStatusCode)
	require.Equal(t, "The model `none` does not exist. Valid aliases: small.", refused.Message)
	s.Close()
	require.NoError(t, <-served)
}
