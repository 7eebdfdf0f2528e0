package backtest

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
)

// opened is a file of evidence, read through gzip if its name says so.
type opened struct {
	io.Reader
	io.Closer
}

func open(name string) (opened, error) {
	f, err := os.Open(name)
	if err != nil {
		return opened{}, err
	}
	if !strings.HasSuffix(name, ".gz") {
		return opened{f, f}, nil
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return opened{}, fmt.Errorf("%s: %w", name, err)
	}
	return opened{z, f}, nil
}
