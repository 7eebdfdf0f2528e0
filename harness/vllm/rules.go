package vllm

import (
	"regexp"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

// startRules are the causes that end a start, the most specific first. Texts are vLLM's, of 0.6 to 0.33.
func startRules() []rule {
	all := memoryRules()
	all = append(all, argumentRules()...)
	all = append(all, modelRules()...)
	return append(all, placeRules()...)
}

func memoryRules() []rule {
	re := regexp.MustCompile
	return []rule{
		{failure.MemoryHeld, re(`Free memory on device (?:(?P<device>\S+) )?\((?P<free_gib>[\d.]+)/(?P<total_gib>[\d.]+) GiB\) on startup is less than desired GPU memory utilization \((?P<utilization>[\d.]+), (?P<requested_gib>[\d.]+) GiB\)`),
			"free the GPU of what holds the rest (nvidia-smi shows it), or lower --gpu-memory-utilization until {total_gib} GiB times it is below {free_gib} GiB"},
		{failure.ContextTooLong, re(`To serve at least one request with the models?'s max seq len \((?P<max_model_len>\d+)\),? \(?(?P<needed_gib>[\d.]+) GiB KV cache is needed, which is larger than the available KV cache memory \((?P<available_gib>-?[\d.]+) GiB\)(?:.{0,20}Based on the available memory,)?(?:.{0,20}the estimated maximum model length is (?P<estimated_max_model_len>\d+))`),
			"lower --max-model-len to {estimated_max_model_len}, or give the KV cache more room (--gpu-memory-utilization, --num-gpu-blocks-override, more GPUs)"},
		{failure.ContextTooLong, re(`To serve at least one request with the models?'s max seq len \((?P<max_model_len>\d+)\),? \(?(?P<needed_gib>[\d.]+) GiB KV cache is needed, which is larger than the available KV cache memory \((?P<available_gib>-?[\d.]+) GiB\)`),
			"lower --max-model-len below {max_model_len}, or give the KV cache more room (--gpu-memory-utilization, more GPUs)"},
		{failure.ContextTooLong, re(`The model's max seq len \((?P<max_model_len>\d+)\) is larger than the maximum number of tokens that can be stored in KV cache \((?P<kv_tokens>\d+)\)`),
			"lower --max-model-len to {kv_tokens}, or give the KV cache more room (--gpu-memory-utilization, more GPUs)"},
		{failure.NoRoomForKV, re(`No available memory for the cache blocks`),
			"raise --gpu-memory-utilization, lower --max-num-batched-tokens or --max-num-seqs, quantize the weights, or use more GPUs (--tensor-parallel-size)"},
		{failure.NoRoomForKV, re(`Cannot auto-fit max_model_len: not enough GPU memory`),
			"raise --gpu-memory-utilization, quantize the weights, or use more GPUs (--tensor-parallel-size)"},
		{failure.NoRoomForKV, re(`Available memory on node (?P<node>\d+) \((?P<free_gib>[\d.]+)/(?P<total_gib>[\d.]+) GiB\) on kv cache allocation is less than requested memory for kv \((?P<requested_gib>[\d.]+) GiB\)`),
			"ask for less than {free_gib} GiB (VLLM_CPU_KVCACHE_SPACE, --kv-cache-memory-bytes), or free memory of the machine"},
		{failure.OutOfMemory, re(`CUDA out of memory occurred when warming up sampler with (?P<dummy_requests>\d+) dummy requests`),
			"lower --max-num-seqs below {dummy_requests}, or --gpu-memory-utilization: the sampler needs room beside the KV cache"},
		{failure.WeightsDoNotFit, re(`Failed to load model - not enough GPU memory`),
			"use more GPUs (--tensor-parallel-size) or quantized weights (--quantization)"},
		{failure.WeightsDoNotFit, re(`(?s)(?:load_model|load_weights|create_weights|initialize_model)\b.*?OutOfMemoryError: (?:CUDA|HIP) out of memory\. Tried to allocate (?P<allocation>[\d.]+ [KMG]iB)(?:\. GPU (?P<device>\d+) has a total capacity of (?P<total_gib>[\d.]+) GiB of which (?P<free>[\d.]+ [KMG]iB) is free)?`),
			"use more GPUs (--tensor-parallel-size) or quantized weights (--quantization)"},
		{failure.OutOfMemory, re(`(?:CUDA|HIP) out of memory\. Tried to allocate (?P<allocation>[\d.]+ [KMG]iB)(?:\. GPU (?P<device>\d+) has a total capacity of (?P<total_gib>[\d.]+) GiB of which (?P<free>[\d.]+ [KMG]iB) is free)?`),
			"lower --gpu-memory-utilization, --max-num-seqs or --max-num-batched-tokens: what is allocated after the cache comes out of the rest"},
		{failure.MemoryHeld, re(`Error in memory profiling\. Initial free memory (?P<initial_free_gib>[\d.]+) GiB, current free memory (?P<current_free_gib>[\d.]+) GiB`),
			"another process gave memory back while vLLM measured: start when the GPU is quiet"},
	}
}

func argumentRules() []rule {
	re := regexp.MustCompile
	return []rule{
		{failure.BadArguments, re(`error: argument (?P<flag>--?[\w./-]+): (?:invalid choice: '(?P<value>[^']*)' \(choose from (?P<choices>[^)]*)\))`),
			"give {flag} one of {choices}"},
		{failure.BadArguments, re(`error: argument (?P<flag>--?[\w./-]+): (?:invalid (?P<type>\w+) value: '(?P<value>[^']*)')`),
			"give {flag} a value of type {type}"},
		{failure.BadArguments, re(`error: argument (?P<flag>--?[\w./-]+):`), "correct {flag}"},
		{failure.BadArguments, re(`error: unrecognized arguments: (?P<arguments>[^\n]+)`),
			"this version of vLLM has no {arguments}: leave it out, or use a version that has it"},
		{failure.BadArguments, re(`error: the following arguments are required: (?P<arguments>[^\n]+)`), "give {arguments}"},
		{failure.BadArguments, re(`max_num_batched_tokens \((?P<max_num_batched_tokens>\d+)\) is smaller than max_model_len \((?P<max_model_len>\d+)\)`),
			"raise --max-num-batched-tokens to {max_model_len}, lower --max-model-len to {max_num_batched_tokens}, or leave chunked prefill on"},
		{failure.BadArguments, re(`max_num_batched_tokens \((?P<max_num_batched_tokens>\d+)\) must be greater than or equal to max_num_seqs \((?P<max_num_seqs>\d+)\)`),
			"raise --max-num-batched-tokens to {max_num_seqs}, or lower --max-num-seqs to {max_num_batched_tokens}"},
		{failure.BadArguments, re(`User-specified max_model_len \((?P<max_model_len>\d+)\) is greater than the derived max_model_len \((?:max_position_embeddings|\w+)=(?P<derived>\d+)`),
			"lower --max-model-len to {derived}"},
		{failure.BadArguments, re(`max_model_len must be a positive integer, got \w+: (?P<max_model_len>-?\d+)`), "give --max-model-len a positive number, or leave it out"},
		{failure.BadArguments, re(`Total number of attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel size \((?P<tensor_parallel_size>\d+)\)`),
			"choose a --tensor-parallel-size that divides {heads}"},
		{failure.BadArguments, re(`World size \((?P<world_size>\d+)\) is larger than the number of available GPUs \((?P<gpus>\d+)\)`),
			"lower --tensor-parallel-size times --pipeline-parallel-size to {gpus}"},
		{failure.BadArguments, re(`No common block size for (?P<block_size>\d+) \((?P<supported>[^\n]*)\)\.`),
			"choose a --block-size that the attention back end takes: {supported}"},
		{failure.BadArguments, re(`Bfloat16 is only supported on GPUs with compute capability of at least (?P<capability>[\d.]+)`), "give --dtype float16"},
		{failure.BadArguments, re(`The quantization method (?P<quantization>\S+) is not supported for the current GPU`), "choose another --quantization or GPU"},
		{failure.BadArguments, re(`Quantization method specified in the model config \((?P<checkpoint>[^)]+)\) does not match the quantization method specified in the ` + "`quantization`" + ` argument \((?P<argument>[^)]+)\)`),
			"leave --quantization out: the checkpoint says {checkpoint}"},
		{failure.BadArguments, re(`Value error, invalid literal for int\(\) with base 10: '(?P<value>[^']*)'`),
			"an environment variable that should be a whole number is '{value}': look at VLLM_CPU_KVCACHE_SPACE and the other VLLM_ variables"},
		{failure.BadArguments, re(`\d+ validation errors? for (?P<config>\w+)\n(?:(?P<field>[\w.]+)\n\s+(?P<rule>[^\[\n]*?) \[type=\w+, input_value=(?P<value>[^,]*),[^\n]*\n?)+`),
			"correct {field} = {value}: {rule}"},
		{failure.BadArguments, re(`(?:bind\(\): port must be|Cannot assign requested address|Name or service not known|\[Errno 13\] Permission denied)[^\n]*`), "choose another --host or --port"},
		{failure.BadArguments, re(`chat template [^\n]{0,200}(?:failed to open|does not exist|was not found)[^\n]*`), "correct --chat-template"},
		{failure.BadArguments, re(`vllm(?: \w+)*: error: (?P<text>[^\n]+)`), "correct the command line"},
	}
}

func modelRules() []rule {
	re := regexp.MustCompile
	return []rule{
		{failure.BadModel, re(`Invalid repository ID or local directory specified: '(?P<model>[^']*)'`), "name a folder with a config.json, or a model of the hub"},
		{failure.BadModel, re(`the config file at '(?P<file>[^']*)' is not a valid JSON file`), "repair {file}"},
		{failure.BadModel, re("model type `(?P<model_type>[^`]*)` but Transformers does not recognize this architecture"), "use a newer Transformers, or another model"},
		{failure.BadModel, re(`Model architectures \[(?P<architectures>[^\]]*)\] (?:are not supported for now|failed to be inspected)`), "use a vLLM version that knows {architectures}, or another model"},
		{failure.BadModel, re(`num_heads \((?P<heads>\d+)\) is not divisible by num_kv_heads \((?P<kv_heads>\d+)\)`), "correct num_attention_heads and num_key_value_heads in config.json"},
		{failure.BadModel, re("Cannot find any model weights with `(?P<model>[^`]*)`"), "put *.safetensors into the folder, or give --load-format dummy"},
		{failure.BadModel, re(`HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '(?P<model>[^']*)'`), "the folder {model} does not exist"},
		{failure.BadModel, re(`LocalEntryNotFoundError: [^\n]*`), "download the model first, or let vLLM reach the hub (HF_HUB_OFFLINE=0)"},
		{failure.BadModel, re(`(?:RepositoryNotFoundError|GatedRepoError|is not a local folder and is not a valid model identifier)[^\n]*`), "check the model's name, and a token if it is gated"},
		{failure.BadModel, re(`Can't load (?:the configuration|tokenizer|the tokenizer) (?:of|for) '(?P<model>[^']*)'`), "complete the folder {model}"},
		{failure.BadModel, re(`(?:SafetensorError|safetensors_rust\.SafetensorError|Error while deserializing header): [^\n]*`), "download the weights again: a file is damaged or cut short"},
		{failure.BadModel, re(`trust_remote_code=True[^\n]*`), "give --trust-remote-code if you trust the model's own code"},
		{failure.BadModel, re(`(?:Tried to load weights of size|weights were not initialized from checkpoint|Couldn't instantiate the backend tokenizer|must be divisible by num_heads)[^\n]*`), "the folder's files do not belong together: check config.json, the weights and the tokenizer"},
	}
}

// placeRules are about the machine, and the general ones that must come last.
func placeRules() []rule {
	re := regexp.MustCompile
	return []rule{
		{failure.PortInUse, re(`(?:\[Errno 98\] )?Address already in use`), "choose another --port, or stop what listens there"},
		{failure.NeverReady, re(`(?:No CUDA GPUs are available|Failed to infer device type|Found no NVIDIA driver|CUDA driver version is insufficient)[^\n]*`), "start it on a machine with a GPU and a matching driver"},
		{failure.NeverReady, re(`(?:NCCL error|ncclSystemError|ncclUnhandledCudaError|ncclInternalError)[^\n]*`), "the GPUs do not reach each other: run with NCCL_DEBUG=INFO"},
		{failure.NeverReady, re(`(?:No space left on device)[^\n]*`), "free disk space (weights, compile cache, /dev/shm)"},
		{failure.OutOfMemory, re(`(?:died unexpectedly \(exit code: -9\)|Failed core proc\(s\): \{[^}\n]*: -9)`), "the machine's own memory was too small (exit code -9): look for the kernel's out-of-memory killer"},
		{failure.OutOfMemory, re(`(?:DefaultCPUAllocator: can't allocate memory|MemoryError)[^\n]*`), "the machine's own memory is too small"},
		{failure.Aborted, re(`KeyboardInterrupt[^\n]*`), "it was told to stop before it was up"},
		{failure.BadArguments, re(`\d+ validation errors? for (?P<config>\w+)\n\s+Value error, (?P<text>[^\[]{0,600})`), "correct the argument"},
		{failure.BadModel, re(`(?s) in (?:load_weights|initialize_model|create_model_config)\n.*?\n(?P<exception>[\w.]+(?:Error|Exception): [^\n]*)`), "vLLM fails while it builds this model: check config.json and the weights"},
	}
}

// deathRules are the causes that end a running engine.
func deathRules() []rule {
	re := regexp.MustCompile
	return []rule{
		{failure.OutOfMemory, re(`(?:CUDA|HIP) out of memory\. Tried to allocate (?P<allocation>[\d.]+ [KMG]iB)(?:\. GPU (?P<device>\d+) has a total capacity of (?P<total_gib>[\d.]+) GiB of which (?P<free>[\d.]+ [KMG]iB) is free)?`),
			"lower --gpu-memory-utilization, --max-num-seqs or --max-num-batched-tokens: the step needs room beside the cache"},
		{failure.EngineDied, re(`index out of bounds: (?P<bounds>[^\n]*)`),
			"a token id lies outside the vocabulary ({bounds}): with --skip-tokenizer-init vLLM does not check, and a wrong id ends the worker"},
		{failure.EngineDied, re(`device-side assert triggered[^\n]*`), "an index ran out of bounds on the GPU, often a token id outside the vocabulary: run with CUDA_LAUNCH_BLOCKING=1"},
		{failure.EngineDied, re(`CUDA error: (?P<error>[^\n]*)`), "look at dmesg for an Xid of the GPU; run with CUDA_LAUNCH_BLOCKING=1"},
		{failure.EngineDied, re(`(?:NCCL error|NCCL watchdog)[^\n]*`), "a GPU or its link fell out: run with NCCL_DEBUG=INFO"},
		{failure.EngineDied, re(`Worker proc (?P<worker>\S+) died unexpectedly \(exit code: -9\)`), "{worker} was killed from outside (SIGKILL): look for the kernel's out-of-memory killer"},
		{failure.EngineDied, re(`Worker proc (?P<worker>\S+) died unexpectedly(?: \(exit code: (?P<exit_code>-?\d+)\))?`), "see the worker's own last lines above it"},
		{failure.EngineDied, re(`Engine core proc (?P<core>\S+) died unexpectedly`), "{core} was killed from outside: look for the kernel's out-of-memory killer"},
		{failure.EngineDied, re(`EngineCore encountered a fatal error\.\n(?s:.*?)\n(?P<exception>[\w.]*(?:Error|Exception): [^\n]*)`), "vLLM's own code failed: see the traceback"},
	}
}
