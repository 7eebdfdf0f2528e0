// Package failure names the ways in which serving fails.
//
// A deployment that fails is a result, not a Go error: it is recorded, counted and explained. The classes here are
// the finest that a user can act on; Mode folds them into the four modes that reports speak of.
package failure

import "errors"

// Class is one way to fail. The zero value is no failure.
type Class string

const (
	None Class = ""

	// At start-up.
	WeightsDoNotFit Class = "weights_do_not_fit"     // the weights alone exceed the budget or the card
	NoRoomForKV     Class = "no_room_for_kv"         // no memory is left for cache blocks
	ContextTooLong  Class = "max_model_len_above_kv" // one request of max_model_len exceeds the cache
	MemoryHeld      Class = "memory_held_by_others"  // less is free than the requested share
	OutOfMemory     Class = "out_of_memory"          // an allocation failed after the check (sampler, graphs)
	BadArguments    Class = "bad_arguments"          // vLLM refuses the engine arguments
	BadModel        Class = "bad_model"              // the model's folder or configuration cannot be used
	PortInUse       Class = "port_in_use"
	NeverReady      Class = "never_ready"

	// Of a running server or of one request.
	Rejected       Class = "rejected"        // 4xx: the request can never be served
	Overloaded     Class = "overloaded"      // 429 or 503: the server refused because it is busy
	ServerError    Class = "server_error"    // 5xx
	Refused        Class = "refused"         // no connection
	ConnectionLost Class = "connection_lost" // reset before or inside the answer
	Truncated      Class = "truncated"       // the stream ended without finish_reason, usage or [DONE]
	StreamError    Class = "stream_error"    // an error event inside the stream
	Stalled        Class = "stalled"         // bytes stopped coming
	TimedOut       Class = "timed_out"
	Aborted        Class = "aborted" // ended by the server's shutdown or by the client
	EngineDied     Class = "engine_died"

	Unknown Class = "unknown"
)

// Mode is one of the four failure modes of a report.
type Mode string

const (
	MemoryExhaustion        Mode = "memory_exhaustion"
	ConfigurationValidation Mode = "configuration_validation"
	PerformanceTimeout      Mode = "performance_timeout"
	UnknownMode             Mode = "unknown"
)

// Mode folds a class into the mode that reports count it under.
func (c Class) Mode() Mode {
	switch c {
	case WeightsDoNotFit, NoRoomForKV, ContextTooLong, MemoryHeld, OutOfMemory:
		return MemoryExhaustion
	case BadArguments, BadModel, PortInUse, Rejected:
		return ConfigurationValidation
	case NeverReady, Overloaded, Stalled, TimedOut:
		return PerformanceTimeout
	}
	return UnknownMode
}

// Error is a classified failure: its class and the message that a user sees, in vLLM's words where vLLM has some.
type Error struct {
	Class   Class
	Message string
}

func (e *Error) Error() string { return string(e.Class) + ": " + e.Message }

// Classify returns the class that err carries, None for nil and Unknown for any other error.
func Classify(err error) Class {
	var f *Error
	switch {
	case err == nil:
		return None
	case errors.As(err, &f):
		return f.Class
	}
	return Unknown
}
