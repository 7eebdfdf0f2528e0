package ray

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/testing-symbiote/symbiote/harness/deploy"
)

// TestTheManifestIsARayJob holds rayjob.yaml against the schema of KubeRay 1.5.0's custom resource, and its TS_CONFIG
// against what the script reads. The schema is that of the resource's v1 without descriptions; a field that it does
// not have is an error here, where Kubernetes would drop it.
func TestTheManifestIsARayJob(t *testing.T) {
	f, err := os.Open("testdata/rayjob-v1.schema.json.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	schema, err := jsonschema.UnmarshalJSON(z)
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("rayjob.json", schema))
	rayJob, err := c.Compile("rayjob.json")
	require.NoError(t, err)

	text, err := os.ReadFile("rayjob.yaml")
	require.NoError(t, err)
	manifest := func(text string) any {
		var m any
		require.NoError(t, yaml.Unmarshal([]byte(text), &m))
		plain, err := json.Marshal(m)
		require.NoError(t, err)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(plain)))
		require.NoError(t, err)
		return v
	}
	require.NoError(t, rayJob.Validate(manifest(string(text))))
	require.Error(t, rayJob.Validate(manifest(strings.Replace(string(text), "minReplicas: 1", "minReplica: 1", 1))), "a check that cannot fail is none")
	require.Error(t, rayJob.Validate(manifest(strings.Replace(string(text), "backoffLimit: 0", "backoffLimit: none", 1))))

	spec := manifest(string(text)).(map[string]any)["spec"].(map[string]any)
	var env struct {
		Vars map[string]string `yaml:"env_vars"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(spec["runtimeEnvYAML"].(string)), &env))
	var config map[string]any
	require.NoError(t, json.Unmarshal([]byte(env.Vars["TS_CONFIG"]), &config))
	http := script[:strings.Index(string(script), "def vllm_processor")]
	rest := script[strings.Index(string(script), "def outcome"):]
	sent := Backend{}.config("x", deploy.Deployment{}, pipeline(8))
	for _, m := range regexp.MustCompile(`cfg\["(\w+)"\]`).FindAllStringSubmatch(string(http)+string(rest), -1) {
		require.Contains(t, config, m[1], "rayjob.yaml")
		require.Contains(t, sent, m[1], "Backend")
	}
	for _, m := range regexp.MustCompile(`cfg\["(\w+)"\]`).FindAllStringSubmatch(string(script), -1) {
		require.Contains(t, sent, m[1], "Backend")
	}
}
