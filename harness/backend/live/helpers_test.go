package live

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

type contextT = context.Context

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func fileSize(t *testing.T, path string) int64 { return int64(len(readFile(t, path))) }
