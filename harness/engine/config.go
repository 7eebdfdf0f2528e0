package engine

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Policy orders the waiting queue and picks the victim of a preemption.
type Policy string

const (
	FCFS     Policy = "fcfs"
	Priority Policy = "priority"
)

// Rules selects the scheduler generation where generations differ. The zero value is the newest.
type Rules int

const (
	V033 Rules = iota // 0.31 and newer
	V028              // 0.24 to 0.30
	V023              // 0.23 and older: freed blocks all go to the tail of the free queue
)

// Config is what the scheduler needs of a deployment, resolved: every field has its value. Names are vLLM's.
type Config struct {
	Rules Rules

	NumBlocks   units.Blocks // num_gpu_blocks, the null block included
	BlockSize   units.Tokens
	MaxModelLen units.Tokens

	MaxNumSeqs            int
	MaxNumActiveSeqs      int          // 0 = MaxNumSeqs
	MaxNumBatchedTokens   units.Tokens // input budget of a step
	MaxNumScheduledTokens units.Tokens // 0 = MaxNumBatchedTokens

	Policy                            Policy // "" = FCFS
	EnablePrefixCaching               bool
	EnableChunkedPrefill              bool
	LongPrefillTokenThreshold         units.Tokens // 0 = off
	LongPrefillTokenThresholdAdaptive bool
	SchedulerReserveFullISL           bool
	Watermark                         float64
	PrefillScheduleInterval           int // 0 and 1 = off
	AsyncScheduling                   bool
	PipelineParallelSize              int // 0 = 1

	// EveryToken asks for a Token event for each regular token too; without it the regular tokens of a step are
	// counted in its Step event.
	EveryToken bool
	// Reference decides request by request in every step, also where decodes could be advanced in aggregate.
	Reference bool
}

func (c Config) withDefaults() Config {
	if c.MaxNumActiveSeqs == 0 {
		c.MaxNumActiveSeqs = c.MaxNumSeqs
	}
	if c.MaxNumScheduledTokens == 0 {
		c.MaxNumScheduledTokens = c.MaxNumBatchedTokens
	}
	if c.Policy == "" {
		c.Policy = FCFS
	}
	c.PipelineParallelSize = max(c.PipelineParallelSize, 1)
	c.PrefillScheduleInterval = max(c.PrefillScheduleInterval, 1)
	return c
}

// validate refuses what vLLM refuses at start-up, in its words, and what no engine could run.
func (c Config) validate() error {
	switch {
	case c.NumBlocks < 2:
		return fmt.Errorf("engine: num_gpu_blocks = %d, want at least 2 (block 0 is the null block)", c.NumBlocks)
	case c.BlockSize < 1:
		return fmt.Errorf("engine: block-size = %d, want > 0", c.BlockSize)
	case c.MaxModelLen < 1:
		return fmt.Errorf("engine: max-model-len = %d, want > 0", c.MaxModelLen)
	case c.MaxNumSeqs < 1:
		return fmt.Errorf("engine: max-num-seqs = %d, want > 0", c.MaxNumSeqs)
	case c.MaxNumBatchedTokens < 1 || c.MaxNumScheduledTokens < 1:
		return fmt.Errorf("engine: max-num-batched-tokens = %d, want > 0", min(c.MaxNumBatchedTokens, c.MaxNumScheduledTokens))
	case c.MaxNumActiveSeqs > c.MaxNumSeqs:
		return fmt.Errorf("engine: max_num_active_seqs (%d) cannot be greater than max_num_seqs (%d)", c.MaxNumActiveSeqs, c.MaxNumSeqs)
	case c.Policy != FCFS && c.Policy != Priority:
		return fmt.Errorf("engine: scheduling-policy = %q, want fcfs or priority", c.Policy)
	case c.Watermark < 0 || c.Watermark >= 1:
		return fmt.Errorf("engine: watermark = %v, want in [0, 1)", c.Watermark)
	}
	return nil
}
