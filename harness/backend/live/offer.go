package live

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Offer is what a place can play: a running endpoint, or this machine's GPUs for servers launched here.
type Offer struct {
	Server    Server      // of an endpoint
	NumBlocks int         // of its KV cache; 0 where it does not say
	Memory    units.Bytes // of each GPU here, without an endpoint; 0 = there is none
	GPUs      int
	GPU       string
}

// Offered looks at an endpoint, or at this machine if there is none.
func Offered(ctx context.Context, endpoint string) (Offer, error) {
	if endpoint == "" {
		return gpus(ctx), nil
	}
	client := httpClient(&http.Transport{DisableKeepAlives: true})
	s, err := look(ctx, client, endpoint, "", "")
	if err != nil {
		return Offer{}, fmt.Errorf("live: %w", err)
	}
	o := Offer{Server: s}
	if m, ok := scrape(ctx, client, s.URL); ok {
		o.NumBlocks = m.NumBlocks
	}
	return o, nil
}

// gpus asks the driver. No driver is no GPU.
func gpus(ctx context.Context) Offer {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return Offer{}
	}
	return parseGPUs(string(out))
}

func parseGPUs(text string) Offer {
	var o Offer
	for line := range strings.Lines(text) {
		name, mib, ok := strings.Cut(strings.TrimSpace(line), ", ")
		if n, err := strconv.ParseInt(mib, 10, 64); ok && err == nil {
			o.GPU, o.Memory = name, units.Bytes(n)*units.MiB
			o.GPUs++
		}
	}
	return o
}

// near is how far two prints of one GPU's memory, or of one deployment's blocks, may lie apart.
const near = 0.05

// Lacks says what is missing to play d, a resolved deployment whose plan has so many blocks (0 = unknown); empty if
// nothing is.
func (o Offer) Lacks(d deploy.Deployment, blocks int) string {
	if o.Server.URL == "" {
		return o.lacksGPU(d)
	}
	s := o.Server
	if !sameModel(s, d) {
		return fmt.Sprintf("the endpoint serves %s (%s), the case asks for %s", s.Model, s.Root, d.Model.ID)
	}
	if s.MaxModelLen > 0 && d.Engine.MaxModelLen > 0 && s.MaxModelLen != d.Engine.MaxModelLen {
		return fmt.Sprintf("the endpoint has --max-model-len %d, the case %d", s.MaxModelLen, d.Engine.MaxModelLen)
	}
	if o.NumBlocks > 0 && blocks > 0 && !within(float64(o.NumBlocks), float64(blocks)) {
		return fmt.Sprintf("the endpoint has %d KV blocks, the case's deployment on %s has %d: another GPU or other arguments", o.NumBlocks, d.GPU.ID, blocks)
	}
	return ""
}

func (o Offer) lacksGPU(d deploy.Deployment) string {
	need := max(1, d.Engine.TensorParallelSize) * max(1, d.Engine.PipelineParallelSize)
	switch {
	case o.GPUs == 0:
		return fmt.Sprintf("this machine has no NVIDIA GPU, the case asks for %s", d.GPU.ID)
	case !within(float64(o.Memory), float64(d.GPU.Memory)):
		return fmt.Sprintf("this machine has %s with %v, the case asks for %s with %v", o.GPU, o.Memory, d.GPU.ID, d.GPU.Memory)
	case o.GPUs < need:
		return fmt.Sprintf("this machine has %d GPUs, the case needs %d", o.GPUs, need)
	}
	return ""
}

func within(a, b float64) bool { return a > b*(1-near) && a < b*(1+near) }

// sameModel compares names without case, organisation and punctuation, as people write them.
func sameModel(s Server, d deploy.Deployment) bool {
	plain := func(name string) string {
		name = name[strings.LastIndexByte(strings.TrimSuffix(name, "/"), '/')+1:]
		return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "", " ", "", "/", "").Replace(name))
	}
	for _, ours := range append([]string{d.Model.ID}, d.Model.Aliases...) {
		if plain(ours) == plain(s.Model) || s.Root != "" && plain(ours) == plain(s.Root) {
			return true
		}
	}
	return false
}
