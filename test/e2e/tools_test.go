//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// tool makes and changes a service as one of the tools does that people use
// beside kn-lite. It knows nothing of revision names and of traffic.
type tool struct {
	name string
	// set makes the service answer with a text, and creates it if need be.
	set func(s *sandbox, service, image, answer string) result
}

// manifest is a service as it stands in somebody's repository.
func manifest(service, image, answer string) string {
	return fmt.Sprintf(`apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: %s
spec:
  template:
    spec:
      containers:
      - image: %s
        env:
        - {name: MODE, value: ok}
        - {name: ANSWER, value: %s}
`, service, image, answer)
}

func (s *sandbox) applyManifest(service, image, answer string, how ...string) result {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), service+".yaml")
	write(s.t, path, manifest(service, image, answer))
	return s.run(s.program(s.t, "kubectl"), append([]string{"-n", s.Namespace, "apply", "-f", path}, how...)...)
}

func (s *sandbox) exists(service string) bool {
	s.t.Helper()
	return len(s.names("ksvc", "--field-selector=metadata.name="+service)) > 0
}

func tools() []tool {
	return []tool{
		{"apply", func(s *sandbox, service, image, answer string) result {
			return s.applyManifest(service, image, answer)
		}},
		{"server-side apply", func(s *sandbox, service, image, answer string) result {
			r := s.applyManifest(service, image, answer, "--server-side", "--field-manager=gitops")
			if strings.Contains(r.Stderr, "conflict") && !strings.Contains(r.Stderr, `"kn-lite"`) {
				// It and the other tools are in each other's way without us too.
				r = s.applyManifest(service, image, answer, "--server-side", "--field-manager=gitops", "--force-conflicts")
			}
			return r
		}},
		{"kn", func(s *sandbox, service, image, answer string) result {
			verb := "update"
			if !s.exists(service) {
				verb = "create"
			}
			return s.run(s.program(s.t, "kn"), "service", verb, service, "-n", s.Namespace, "--image", image, "--env", "MODE=ok", "--env", "ANSWER="+answer)
		}},
		// func reads the service, takes its template's name out and writes all of it.
		{"func", func(s *sandbox, service, image, answer string) result {
			if !s.exists(service) {
				return s.applyManifest(service, image, answer)
			}
			for {
				r := s.replace(service, image, answer)
				if r.Code == 0 || !strings.Contains(r.Stderr, "has been modified") {
					return r
				}
			}
		}},
		// Helm sends the difference between its manifests, whatever is live.
		{"helm", func(s *sandbox, service, image, answer string) result {
			if !s.exists(service) {
				path := filepath.Join(s.t.TempDir(), service+".yaml")
				write(s.t, path, manifest(service, image, answer))
				return s.run(s.program(s.t, "kubectl"), "-n", s.Namespace, "create", "-f", path)
			}
			patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"image":%q,"env":[{"name":"MODE","value":"ok"},{"name":"ANSWER","value":%q}]}]}}}}`, image, answer)
			return s.run(s.program(s.t, "kubectl"), "-n", s.Namespace, "patch", "ksvc", service, "--type=merge", "-p", patch)
		}},
	}
}

func (s *sandbox) replace(service, image, answer string) result {
	s.t.Helper()
	var live map[string]any
	s.object(&live, "ksvc", service)
	template := live["spec"].(map[string]any)["template"].(map[string]any)
	if meta, ok := template["metadata"].(map[string]any); ok {
		delete(meta, "name")
	}
	container := template["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	container["image"] = image
	container["env"] = []any{map[string]any{"name": "MODE", "value": "ok"}, map[string]any{"name": "ANSWER", "value": answer}}
	raw, err := json.Marshal(live)
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.t.TempDir(), service+".json")
	write(s.t, path, string(raw))
	// Raw, since func asks the API itself: kubectl's own way would put the version
	// into its record of what was applied last, and refuse the next apply for it.
	at := "/apis/serving.knative.dev/v1/namespaces/" + s.Namespace + "/services/" + service
	return s.run(s.program(s.t, "kubectl"), "replace", "--raw", at, "-f", path)
}
