package serve

import (
	p "github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

const (
	int64Min = "-9223372036854775808"
	int64Max = "9223372036854775807"
	maxStops = 4
)

func streamOptions() p.Rule {
	return p.Object(
		p.Field{Name: "include_usage", Rule: p.Boolean().Opt()},
		p.Field{Name: "continuous_usage_stats", Rule: p.Boolean().Opt()},
	).Opt()
}

func stopRule() p.Rule {
	return p.AnyOf(p.Text(), p.ListOf(p.Text()).AtMost(maxStops)).Opt()
}

// sharedFields are the fields that completions and chat have in common behind their own, in order.
func sharedFields() []p.Field {
	return []p.Field{
		{Name: "use_beam_search", Rule: p.Boolean()},
		{Name: "top_k", Rule: p.Integer().Opt()},
		{Name: "min_p", Rule: p.FloatRule().Opt()},
		{Name: "repetition_penalty", Rule: p.FloatRule().Opt()},
		{Name: "watermarking", Rule: p.Boolean().Opt()},
		{Name: "length_penalty", Rule: p.FloatRule()},
		{Name: "stop_token_ids", Rule: p.ListOf(p.Integer()).Opt()},
		{Name: "include_stop_str_in_output", Rule: p.Boolean()},
		{Name: "ignore_eos", Rule: p.Boolean()},
		{Name: "min_tokens", Rule: p.Integer()},
		{Name: "skip_special_tokens", Rule: p.Boolean()},
		{Name: "spaces_between_special_tokens", Rule: p.Boolean()},
		{Name: "truncate_prompt_tokens", Rule: p.Integer().Min("-1").Max(int64Max).Opt()},
		{Name: "truncation_side", Rule: p.Literal("left", "right").Opt()},
	}
}

// tailFields are the fields that both have after their sampling parameters.
func tailFields() []p.Field {
	return []p.Field{
		{Name: "priority", Rule: p.Integer().Min(int64Min).Max(int64Max)},
		{Name: "request_id", Rule: p.Text()},
		{Name: "session_id", Rule: p.Text().Opt()},
		{Name: "return_tokens_as_token_ids", Rule: p.Boolean().Opt()},
		{Name: "return_token_ids", Rule: p.Boolean().Opt()},
		{Name: "routed_experts_prompt_start", Rule: p.Integer().Min("0")},
		{Name: "return_token_offsets", Rule: p.Boolean().Opt()},
		{Name: "return_prompt_text", Rule: p.Boolean().Opt()}, // chat's alone; completions ignore it
		{Name: "mm_payload", Rule: p.Literal("tensors", "none")},
		{Name: "return_mm_kwargs", Rule: p.Boolean().Opt()},
		{Name: "cache_salt", Rule: p.Text().Length(1, 1024).Opt()},
		{Name: "kv_transfer_params", Rule: p.AnyDict().Opt()},
		{Name: "ec_transfer_params", Rule: p.AnyDict().Opt()},
		{Name: "vllm_xargs", Rule: p.AnyDict().Opt()},
		{Name: "repetition_detection", Rule: p.Dataclass("RepetitionDetectionParams").Opt()},
		{Name: "stream_interval", Rule: p.Integer().Min("1").Opt()},
	}
}

// completionModel is the body of /v1/completions.
func completionModel() p.Model {
	ids := p.ListOf(p.Integer().Min("0"))
	m := p.Model{
		{Name: "model", Rule: p.Text().Opt()},
		{Name: "prompt", Rule: p.AnyOf(ids, p.ListOf(ids), p.Text(), p.ListOf(p.Text())).Opt()},
		{Name: "echo", Rule: p.Boolean().Opt()},
		{Name: "frequency_penalty", Rule: p.FloatRule().Opt()},
		{Name: "logit_bias", Rule: p.DictOf(p.FloatRule()).Opt()},
		{Name: "logprobs", Rule: p.Integer().Opt()},
		{Name: "max_tokens", Rule: p.Integer().Opt()},
		{Name: "n", Rule: p.Integer()},
		{Name: "presence_penalty", Rule: p.FloatRule().Opt()},
		{Name: "seed", Rule: p.Integer().Min(int64Min).Max(int64Max).Opt()},
		{Name: "stop", Rule: stopRule()},
		{Name: "stream", Rule: p.Boolean().Opt()},
		{Name: "stream_options", Rule: streamOptions()},
		{Name: "suffix", Rule: p.Text().Opt()},
		{Name: "temperature", Rule: p.FloatRule().Opt()},
		{Name: "top_p", Rule: p.FloatRule().Opt()},
		{Name: "user", Rule: p.Text().Opt()},
	}
	m = append(m, sharedFields()...)
	m = append(m,
		p.Field{Name: "allowed_token_ids", Rule: p.ListOf(p.Integer()).Opt()},
		p.Field{Name: "prompt_logprobs", Rule: p.Integer().Opt()},
		p.Field{Name: "logprob_token_ids", Rule: p.ListOf(p.Integer()).Opt()},
		p.Field{Name: "bad_words", Rule: p.ListOf(p.Text())},
		p.Field{Name: "add_special_tokens", Rule: p.Boolean()},
		p.Field{Name: "response_format", Rule: responseFormat()},
	)
	return append(m, tailFields()...)
}

// chatModel is the body of /v1/chat/completions.
func chatModel() p.Model {
	m := p.Model{
		{Name: "messages", Rule: p.ListOf(message()), Required: true},
		{Name: "model", Rule: p.Text().Opt()},
		{Name: "frequency_penalty", Rule: p.FloatRule().Opt()},
		{Name: "logit_bias", Rule: p.DictOf(p.FloatRule()).Opt()},
		{Name: "logprobs", Rule: p.Boolean().Opt()},
		{Name: "top_logprobs", Rule: p.Integer().Opt()},
		{Name: "max_tokens", Rule: p.Integer().Opt()},
		{Name: "max_completion_tokens", Rule: p.Integer().Opt()},
		{Name: "n", Rule: p.Integer().Opt()},
		{Name: "presence_penalty", Rule: p.FloatRule().Opt()},
		{Name: "response_format", Rule: responseFormat()},
		{Name: "seed", Rule: p.Integer().Min(int64Min).Max(int64Max).Opt()},
		{Name: "stop", Rule: stopRule()},
		{Name: "stream", Rule: p.Boolean().Opt()},
		{Name: "stream_options", Rule: streamOptions()},
		{Name: "temperature", Rule: p.FloatRule().Opt()},
		{Name: "top_p", Rule: p.FloatRule().Opt()},
		{Name: "tools", Rule: p.ListOf(p.Rule{}).Opt()},
		{Name: "reasoning_effort", Rule: p.Literal("none", "minimal", "low", "medium", "high", "xhigh", "max").Opt()},
		{Name: "include_reasoning", Rule: p.Boolean()},
		{Name: "parallel_tool_calls", Rule: p.Boolean().Opt()},
		{Name: "user", Rule: p.Text().Opt()},
	}
	m = append(m, sharedFields()...)
	m = append(m,
		p.Field{Name: "prompt_logprobs", Rule: p.Integer().Opt()},
		p.Field{Name: "logprob_token_ids", Rule: p.ListOf(p.Integer()).Opt()},
		p.Field{Name: "allowed_token_ids", Rule: p.ListOf(p.Integer()).Opt()},
		p.Field{Name: "bad_words", Rule: p.ListOf(p.Text())},
		p.Field{Name: "echo", Rule: p.Boolean()},
		p.Field{Name: "add_generation_prompt", Rule: p.Boolean()},
		p.Field{Name: "continue_final_message", Rule: p.Boolean()},
		p.Field{Name: "add_special_tokens", Rule: p.Boolean()},
		p.Field{Name: "documents", Rule: p.ListOf(p.AnyDict()).Opt()},
		p.Field{Name: "chat_template", Rule: p.Text().Opt()},
		p.Field{Name: "chat_template_kwargs", Rule: p.AnyDict().Opt()},
	)
	return append(m, tailFields()...)
}

// message is vLLM's union of the kinds of message. What they hold beside role, content and name is not read.
func message() p.Rule {
	content := p.AnyOf(p.Text(), p.Iterable())
	kind := func(tag, role string) p.Rule {
		return p.Typed("ChatCompletion"+tag+"MessageParam",
			p.Field{Name: "content", Rule: content, Required: true},
			p.Field{Name: "role", Rule: p.Literal(role), Required: true},
			p.Field{Name: "name", Rule: p.Text()})
	}
	return p.AnyOf(
		kind("Developer", "developer"), kind("System", "system"), kind("User", "user"),
		p.Typed("ChatCompletionAssistantMessageParam",
			p.Field{Name: "role", Rule: p.Literal("assistant"), Required: true},
			p.Field{Name: "content", Rule: content.Opt()},
			p.Field{Name: "name", Rule: p.Text()}),
		p.Typed("ChatCompletionToolMessageParam",
			p.Field{Name: "content", Rule: content, Required: true},
			p.Field{Name: "role", Rule: p.Literal("tool"), Required: true},
			p.Field{Name: "tool_call_id", Rule: p.Text(), Required: true}),
		p.Typed("ChatCompletionFunctionMessageParam",
			p.Field{Name: "content", Rule: p.Text().Opt(), Required: true},
			p.Field{Name: "name", Rule: p.Text(), Required: true},
			p.Field{Name: "role", Rule: p.Literal("function"), Required: true}),
		p.Typed("CustomChatCompletionMessageParam",
			p.Field{Name: "role", Rule: p.Text(), Required: true},
			p.Field{Name: "content", Rule: p.AnyOf(p.Text(), p.ListOf(p.Rule{}))},
			p.Field{Name: "name", Rule: p.Text()}),
		p.Object(
			p.Field{Name: "author", Rule: p.Rule{}, Required: true},
			p.Field{Name: "content", Rule: p.ListOf(p.Rule{})}).Named("Message"),
	)
}

// responseFormat is the union of what response_format may be.
func responseFormat() p.Rule {
	tag := p.Field{Name: "type", Rule: p.Literal("structural_tag"), Required: true}
	return p.AnyOf(
		p.Object(
			p.Field{Name: "type", Rule: p.Literal("text", "json_object", "json_schema"), Required: true},
			p.Field{Name: "json_schema", Rule: p.Object(p.Field{Name: "name", Rule: p.Text(), Required: true}).Opt()}),
		p.Object(tag, p.Field{Name: "format", Rule: p.Rule{}, Required: true}),
		p.Object(tag, p.Field{Name: "structures", Rule: p.ListOf(p.Rule{}), Required: true}, p.Field{Name: "triggers", Rule: p.ListOf(p.Text()), Required: true}),
	).Opt()
}

func tokenizeModel(chat bool) p.Model {
	if chat {
		return p.Model{
			{Name: "model", Rule: p.Text().Opt()},
			{Name: "messages", Rule: p.ListOf(message()), Required: true},
			{Name: "add_generation_prompt", Rule: p.Boolean()},
			{Name: "return_token_strs", Rule: p.Boolean().Opt()},
			{Name: "continue_final_message", Rule: p.Boolean()},
			{Name: "add_special_tokens", Rule: p.Boolean()},
		}
	}
	return p.Model{
		{Name: "model", Rule: p.Text().Opt()},
		{Name: "prompt", Rule: p.Text(), Required: true},
		{Name: "add_special_tokens", Rule: p.Boolean()},
		{Name: "return_token_strs", Rule: p.Boolean().Opt()},
	}
}

func detokenizeModel() p.Model {
	return p.Model{
		{Name: "model", Rule: p.Text().Opt()},
		{Name: "tokens", Rule: p.ListOf(p.Integer().Min("0").Max(int64Max)), Required: true},
	}
}
