package dockerfile

import (
	"encoding/json"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// startInterval returns how often an image is to be probed while it starts.
// Docker has had that since its 25.0, and v1.HealthConfig does not.
func startInterval(image v1.Image) (time.Duration, error) {
	raw, err := image.RawConfigFile()
	if err != nil {
		return 0, err
	}
	var file struct {
		Config struct {
			Healthcheck struct{ StartInterval time.Duration }
		} `json:"config"`
	}
	// What is wrong with a configuration is found where the whole of it is read.
	_ = json.Unmarshal(raw, &file)
	return file.Config.Healthcheck.StartInterval, nil
}

// withStartInterval returns the image with the interval in its configuration.
func withStartInterval(image v1.Image, interval time.Duration) (v1.Image, error) {
	if interval == 0 {
		return image, nil
	}
	raw, err := image.RawConfigFile()
	if err != nil {
		return nil, err
	}
	var file, config, check map[string]json.RawMessage
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(file["config"], &config); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(config["Healthcheck"], &check); err != nil {
		return nil, err
	}
	for _, level := range []struct {
		in    map[string]json.RawMessage
		key   string
		value any
	}{{check, "StartInterval", interval}, {config, "Healthcheck", check}, {file, "config", config}} {
		if level.in[level.key], err = json.Marshal(level.value); err != nil {
			return nil, err
		}
	}
	out := &reconfigured{Image: image}
	if out.config, err = json.Marshal(file); err != nil {
		return nil, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	out.manifest = manifest.DeepCopy()
	digest, err := partial.ConfigName(out)
	if err != nil {
		return nil, err
	}
	out.manifest.Config.Digest, out.manifest.Config.Size = digest, int64(len(out.config))
	return out, nil
}

// reconfigured is an image with another configuration.
type reconfigured struct {
	v1.Image
	config   []byte
	manifest *v1.Manifest
}

func (r *reconfigured) RawConfigFile() ([]byte, error)      { return r.config, nil }
func (r *reconfigured) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(r) }
func (r *reconfigured) ConfigName() (v1.Hash, error)        { return partial.ConfigName(r) }
func (r *reconfigured) Manifest() (*v1.Manifest, error)     { return r.manifest, nil }
func (r *reconfigured) RawManifest() ([]byte, error)        { return json.Marshal(r.manifest) }
func (r *reconfigured) Digest() (v1.Hash, error)            { return partial.Digest(r) }
func (r *reconfigured) Size() (int64, error)                { return partial.Size(r) }

func (r *reconfigured) LayerByDigest(digest v1.Hash) (v1.Layer, error) {
	if digest == r.manifest.Config.Digest {
		return partial.ConfigLayer(r)
	}
	return r.Image.LayerByDigest(digest)
}
