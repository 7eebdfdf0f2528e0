package memory

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// short prints GiB as Python prints a float rounded to two decimals: 14.0, 28.06.
func short(b units.Bytes) string { return number(math.RoundToEven(b.GiB()*100) / 100) }

func number(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

const more = " See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."

// recent says whether the messages speak of the CPU backend and of the documentation, as those of 2026 do.
func recent(v deploy.Version) bool { return v.AtLeast(14, 0) }

func noMemory(v deploy.Version) string {
	if !recent(v) {
		return "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine."
	}
	return "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine " +
		"(this flag also controls CPU memory reservation on the CPU backend, despite its name)." + more
}

func tooLong(d deploy.Deployment, length int, need, room units.Bytes, longest int, l layout) string {
	if d.Runner == "V0" {
		return fmt.Sprintf("The model's max seq len (%d) is larger than the maximum number of tokens that can be stored in KV cache (%d). "+
			"Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.", length, int(room/l.block)*l.size)
	}
	estimate := ""
	if longest > 0 {
		estimate = fmt.Sprintf("Based on the available memory, the estimated maximum model length is %d. ", longest)
	}
	models, tail := "model's", "(which also controls CPU memory on the CPU backend) or decreasing `max_model_len` when initializing the engine."+more
	if !recent(d.Version()) {
		models, tail = "models's", "or decreasing `max_model_len` when initializing the engine."
	}
	return fmt.Sprintf("To serve at least one request with the %s max seq len (%d), (%s GiB KV cache is needed, which is larger than the available KV cache memory (%s GiB). "+
		"%sTry increasing `gpu_memory_utilization` %s", models, length, short(need), short(room), estimate, tail)
}

// noLoad is PyTorch's message, which the first V1 runner wraps.
func noLoad(d deploy.Deployment, a allocator, total units.Bytes) string {
	out := fmt.Sprintf("CUDA out of memory. Tried to allocate %s. GPU 0 has a total capacity of %.2f GiB of which %s is free.", torch(a.failed), total.GiB(), torch(a.left))
	if d.Runner != "V1" {
		return out
	}
	return "Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization to free memory for weights, increasing --tensor-parallel-size, or using --quantization. " +
		"See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more tips. (original error: " + out + ")"
}

// torch prints a size as PyTorch's allocator does.
func torch(b units.Bytes) string {
	if b >= units.GiB {
		return fmt.Sprintf("%.2f GiB", b.GiB())
	}
	return fmt.Sprintf("%.2f MiB", float64(b)/float64(units.MiB))
}
