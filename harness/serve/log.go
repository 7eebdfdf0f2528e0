package serve

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// What launchers look for in a server's output: the lines of vLLM that carry meaning, in its format.

func logLine(w io.Writer, process, level, where, format string, args ...any) {
	fmt.Fprintf(w, "(%s pid=%d) %s %s [%s] %s\n", process, os.Getpid(), level, time.Now().Format("01-02 15:04:05"), where, fmt.Sprintf(format, args...))
}

// Names are the models that are served.
func (s *Server) Names() []string { return s.names }

// LogStart writes what vLLM's output says of a start that went well. No key is in it.
func (s *Server) LogStart(w io.Writer, addr string) {
	logLine(w, "APIServer", "INFO", "api_utils.py:347", "version %s, model %s, testing-symbiote stand-in", s.version, s.root)
	for _, r := range s.replicas {
		e := &r.deployment.Engine
		r.mu.Lock()
		blocks := int(r.engine.Gauge().Total) + 1
		r.mu.Unlock()
		per := units.CeilDiv(e.MaxModelLen, e.BlockSize)
		logLine(w, "EngineCore", "INFO", "kv_cache_utils.py:2327", "GPU KV cache size: %s tokens, Maximum concurrency for %s tokens per request: %.2fx",
			grouped(blocks*e.BlockSize), grouped(e.MaxModelLen), float64(blocks)/float64(per))
	}
	logLine(w, "APIServer", "INFO", "entry.py:140", "Starting vLLM server on http://%s", addr)
	fmt.Fprintf(w, "INFO:     Started server process [%d]\nINFO:     Waiting for application startup.\nINFO:     Application startup complete.\n", os.Getpid())
}

// LogEnd writes the last lines of a clean shut-down.
func LogEnd(w io.Writer) {
	logLine(w, "APIServer", "INFO", "launcher.py:304", "[shutdown] API server: shutting down FastAPI HTTP server")
	fmt.Fprint(w, "INFO:     Shutting down\nINFO:     Waiting for application shutdown.\nINFO:     Application shutdown complete.\n")
}

// LogFailure writes how vLLM ends that does not start: the engine core's error, then the server's.
func LogFailure(w io.Writer, e *failure.Error) {
	logLine(w, "EngineCore", "ERROR", "core.py:1510", "EngineCore failed to start.")
	kind := "ValueError"
	if strings.HasPrefix(e.Message, "CUDA out of memory") {
		kind = "torch.OutOfMemoryError"
	}
	logLine(w, "EngineCore", "ERROR", "core.py:1510", "%s: %s", kind, e.Message)
	logLine(w, "APIServer", "ERROR", "entry.py:152", "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}")
}

// LogPortInUse writes how vLLM ends whose port is taken. Its exit code is 1.
func LogPortInUse(w io.Writer) { fmt.Fprintln(w, "OSError: [Errno 98] Address already in use") }

//go:embed testdata/out-of-memory.log.gz
var outOfMemory []byte

// LogOutOfMemory writes the log of a real vLLM that asked for more memory than there was. Its exit code is 1.
func LogOutOfMemory(w io.Writer) {
	z, err := gzip.NewReader(bytes.NewReader(outOfMemory))
	if err == nil {
		_, err = io.Copy(w, z)
	}
	if err != nil {
		panic(err) // the log is part of the program
	}
}

// grouped prints a number with commas.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
