package serve

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// What vLLM checks on the raw body, before its fields. Its validators run in the reverse of the order in which they
// are written down, and the first that refuses ends it.

const maxPrompts = 1024

func preCheckCompletion(b *pydantic.Value) *refusal {
	if prompt := b.Get("prompt"); prompt.Kind == pydantic.List && prompt.Len() > maxPrompts && prompt.Ints == nil {
		if first := prompt.At(0); first.Kind != pydantic.Int {
			return invalid("prompt list length "+strconv.Itoa(prompt.Len())+" exceeds the maximum allowed count of "+strconv.Itoa(maxPrompts)+
				". To increase this limit, set the VLLM_MAX_COMPLETION_PROMPTS environment variable.").about("prompt", "")
		}
	}
	prompt, embeds := b.Get("prompt"), b.Get("prompt_embeds")
	if (prompt.IsNull() || prompt.Kind == pydantic.String && prompt.Text == "") &&
		(embeds.IsNull() || embeds.Kind == pydantic.List && embeds.Len() == 0) {
		return invalid("Either prompt or prompt_embeds must be provided and non-empty.").about("prompt", "")
	}
	for _, check := range []func(*pydantic.Value) *refusal{
		checkStreamOptions, checkCompletionLogprobs, checkConstraints, checkResponseFormat, checkCacheSalt,
	} {
		if e := check(b); e != nil {
			return e
		}
	}
	return nil
}

func preCheckChat(b *pydantic.Value) *refusal {
	if m := b.Get("messages"); b.Has("messages") && m.Kind != pydantic.List && m.Kind != pydantic.String && m.Kind != pydantic.Dict {
		return invalid("'" + pythonType(m) + "' object is not iterable")
	}
	if b.Get("continue_final_message").Truthy() && b.Get("add_generation_prompt").Truthy() {
		return invalid("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
	}
	for _, check := range []func(*pydantic.Value) *refusal{
		checkTools, checkConstraints, checkChatLogprobs, checkStreamOptions, checkResponseFormat, checkCacheSalt,
	} {
		if e := check(b); e != nil {
			return e
		}
	}
	return nil
}

func pythonType(v *pydantic.Value) string {
	switch v.Kind {
	case pydantic.Bool:
		return "bool"
	case pydantic.Int:
		return "int"
	case pydantic.Number:
		return "float"
	case pydantic.String:
		return "str"
	case pydantic.List:
		return "list"
	case pydantic.Dict:
		return "dict"
	}
	return "NoneType"
}

func checkStreamOptions(b *pydantic.Value) *refusal {
	if b.Get("stream_options").Truthy() && !b.Get("stream").Truthy() {
		return invalid("Stream options can only be defined when `stream=True`.").about("stream_options", "")
	}
	return nil
}

func isNumber(v *pydantic.Value) bool {
	return v.Kind == pydantic.Bool || v.Kind == pydantic.Int || v.Kind == pydantic.Number
}

// printed is a value inside "(parameter=…, value=…)".
func printed(v *pydantic.Value) string {
	switch v.Kind {
	case pydantic.Bool:
		if v.Truth {
			return "True"
		}
		return "False"
	case pydantic.Number:
		return pydantic.Float(v.Float)
	}
	return v.Text
}

// needInteger refuses a count of logprobs that is no number.
func needInteger(b *pydantic.Value, names ...string) *refusal {
	for _, name := range names {
		if v := b.Get(name); !v.IsNull() && !isNumber(v) {
			return invalid("`"+name+"` must be an integer.").about(name, printed(v))
		}
	}
	return nil
}

func checkPromptLogprobs(b *pydantic.Value) *refusal {
	v := b.Get("prompt_logprobs")
	switch {
	case v.IsNull():
	case b.Get("stream").Truthy() && (v.Float > 0 || v.Float == -1):
		return invalid("`prompt_logprobs` are not available when `stream=True`.").about("prompt_logprobs", "")
	case v.Float < 0 && v.Float != -1:
		return invalid("`prompt_logprobs` must be a positive value or -1.").about("prompt_logprobs", printed(v))
	}
	return nil
}

func checkCompletionLogprobs(b *pydantic.Value) *refusal {
	ids, beam, echo, logprobs := b.Get("logprob_token_ids").Truthy(), b.Get("use_beam_search").Truthy(), b.Get("echo").Truthy(), b.Get("logprobs")
	switch {
	case ids && beam:
		return invalid("`logprob_token_ids` is not supported with beam search.").about("logprob_token_ids", "")
	case beam && echo && !logprobs.IsNull():
		return invalid("`echo` with `logprobs` is not supported with beam search because beam search does not compute prompt logprobs.").about("echo", "")
	case ids && echo && isNumber(b.Get("max_tokens")) && b.Get("max_tokens").Float == 0:
		return invalid("`logprob_token_ids` is not supported when `echo=True` and `max_tokens=0` because no output tokens are generated.").about("logprob_token_ids", "")
	case ids && logprobs.IsNull():
		return invalid("when using `logprob_token_ids`, `logprobs` must be set.").about("logprob_token_ids", "")
	}
	if e := needInteger(b, "prompt_logprobs", "logprobs"); e != nil {
		return e
	}
	if e := checkPromptLogprobs(b); e != nil {
		return e
	}
	if !logprobs.IsNull() && logprobs.Float < 0 && logprobs.Float != -1 {
		return invalid("`logprobs` must be a positive value or -1.").about("logprobs", printed(logprobs))
	}
	return nil
}

func checkChatLogprobs(b *pydantic.Value) *refusal {
	ids, on := b.Get("logprob_token_ids").Truthy(), b.Get("logprobs").Truthy()
	switch {
	case ids && b.Get("use_beam_search").Truthy():
		return invalid("`logprob_token_ids` is not supported with beam search.").about("logprob_token_ids", "")
	case ids && !on:
		return invalid("when using `logprob_token_ids`, `logprobs` must be set to true.").about("logprob_token_ids", "")
	}
	if e := needInteger(b, "prompt_logprobs", "top_logprobs"); e != nil {
		return e
	}
	if e := checkPromptLogprobs(b); e != nil {
		return e
	}
	top := b.Get("top_logprobs")
	switch {
	case top.IsNull():
	case top.Float < 0 && top.Float != -1:
		return invalid("`top_logprobs` must be a positive value or -1.").about("top_logprobs", printed(top))
	case (top.Float == -1 || top.Float > 0) && !on:
		return invalid("when using `top_logprobs`, `logprobs` must be set to true.").about("top_logprobs", "")
	}
	return nil
}

func checkConstraints(b *pydantic.Value) *refusal {
	c := b.Get("structured_outputs")
	if c.Kind != pydantic.Dict {
		if c.IsNull() {
			return nil
		}
		return &refusal{status: 500, kind: "InternalServerError", message: "'" + pythonType(c) + "' object has no attribute 'get'", bare: true}
	}
	given := 0
	for _, key := range []string{"json", "regex", "choice"} {
		if !c.Get(key).IsNull() {
			given++
		}
	}
	if given > 1 {
		e := invalid("You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice').")
		if !b.Has("messages") {
			e.about("structured_outputs", "")
		}
		return e
	}
	return nil
}

func checkResponseFormat(b *pydantic.Value) *refusal {
	f := b.Get("response_format")
	if f.Kind == pydantic.Dict && f.Get("type").Text == "json_schema" && f.Get("json_schema").IsNull() {
		return invalid("When response_format type is 'json_schema', the 'json_schema' field must be provided.").about("response_format", "")
	}
	return nil
}

func checkCacheSalt(b *pydantic.Value) *refusal {
	v := b.Get("cache_salt")
	if v.IsNull() {
		return nil
	}
	if v.Kind != pydantic.String || v.Text == "" {
		return invalid("Parameter 'cache_salt' must be a non-empty string if provided.").about("cache_salt", "")
	}
	bad := utf8.RuneCountInString(v.Text) > 128
	for _, r := range v.Text {
		bad = bad || r == '@' || r == '/' || r == '\\' || r == 0
	}
	if bad {
		return invalid(`Parameter 'cache_salt' must be at most 128 characters and must not contain '@', '/', '\\', or NUL.`).about("cache_salt", "")
	}
	return nil
}

func checkTools(b *pydantic.Value) *refusal {
	tools, choice := b.Get("tools"), b.Get("tool_choice")
	if tools.Kind == pydantic.List && tools.Len() == 0 {
		return invalid("`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.").about("tools", "")
	}
	switch {
	case choice.IsNull() || choice.Kind == pydantic.String && choice.Text == "none":
		return nil
	case tools.IsNull():
		return invalid("When using `tool_choice`, `tools` must be set.").about("tool_choice", "")
	case choice.Kind != pydantic.Dict && choice.Text != "auto" && choice.Text != "required":
		return invalid("Invalid value for `tool_choice`: "+printed(choice)+`! Only named tools, "none", "auto" or "required" are supported.`).about("tool_choice", "")
	}
	return nil
}

// needParser is the refusal of tools by a server that was started without a tool parser, as this one always is.
func needParser(b *pydantic.Value) *refusal {
	if !b.Get("tools").Truthy() {
		return nil
	}
	switch choice := b.Get("tool_choice"); {
	case !b.Has("tool_choice") || choice.Text == "auto":
		return invalid(`"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set`)
	case choice.Kind == pydantic.Dict:
		return invalid(`tool_choice=function "` + choice.Get("function").Get("name").Text + `" requires --tool-call-parser to be set`)
	case choice.Text == "required":
		return invalid(`tool_choice="required" requires --tool-call-parser to be set`)
	}
	return nil
}

// checkThinkingBudget refuses a budget that is no count, before pydantic has looked at the other fields.
func checkThinkingBudget(b *pydantic.Value) *refusal {
	if b.Kind != pydantic.Dict {
		return nil
	}
	v := b.Get("thinking_token_budget")
	if v.IsNull() || v.Kind == pydantic.Int && v.Float >= -1 {
		return nil
	}
	return invalid("`thinking_token_budget` must be a non-negative integer or -1 for unlimited.").about("thinking_token_budget", printed(v))
}

// checkTemplate refuses what a chat request may not bring along.
func checkTemplate(b *pydantic.Value) *refusal {
	if !b.Get("chat_template").IsNull() || !b.Get("chat_template_kwargs").Get("chat_template").IsNull() {
		return invalid("Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with untrusted chat template.")
	}
	const untrusted = " are disabled by default because they can change multimodal "
	const trust = " resource usage. Start the server with --trust-request-mm-kwargs only when clients are trusted."
	if b.Get("mm_processor_kwargs").Truthy() {
		return invalid("Per-request mm_processor_kwargs"+untrusted+"preprocessing"+trust).about("mm_processor_kwargs", "")
	}
	if b.Get("media_io_kwargs").Truthy() {
		return invalid("Per-request media_io_kwargs"+untrusted+"media loading"+trust).about("media_io_kwargs", "")
	}
	if v := b.Get("add_generation_prompt"); b.Get("continue_final_message").Boolean() && (v.IsNull() || v.Boolean()) {
		return invalid("continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want the model to continue the final message, " +
			"and add_generation_prompt when you want to add a header that will prompt it to start a new assistant message instead.")
	}
	return nil
}

// checkBiasKeys refuses biases of what is no token id.
func checkBiasKeys(b *pydantic.Value) *refusal {
	var bad []string
	for _, key := range b.Get("logit_bias").Keys {
		if _, err := strconv.Atoi(strings.TrimSpace(key)); err != nil {
			bad = append(bad, pydantic.Repr(key))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	list := "[" + strings.Join(bad, ", ") + "]"
	return invalid("logit_bias contains key(s) that cannot be converted to integer token IDs: "+list).about("logit_bias", list)
}

// biased are the token ids that logit_bias names.
func biased(b *pydantic.Value) (ids []int) {
	for _, key := range b.Get("logit_bias").Keys {
		if id, err := strconv.Atoi(strings.TrimSpace(key)); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
