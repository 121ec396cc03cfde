package plugin

// Protocol is the version of the contract that this kn-lite speaks. It grows only
// with what an older plugin must not overlook: fields that a plugin may ignore are
// added without.
const Protocol = 1

// prefix is what the name of a plugin's program begins with.
const prefix = "kn-lite-builder-"

// The exit codes of a plugin.
const (
	exitUnfit    = 2 // the request asks for what the plugin cannot do
	exitProtocol = 3 // the plugin does not speak any of the request's protocols
)

// message is what a plugin reads on its standard input: one JSON object, and the end.
type message struct {
	Protocol  int    `json:"protocol"`  // the newest version that kn-lite speaks
	Protocols []int  `json:"protocols"` // all of them; the plugin answers with one
	Command   string `json:"command"`   // build
	Version   string `json:"version"`   // of kn-lite

	Source string `json:"source"` // the project's folder: to read
	Output string `json:"output"` // an empty folder, for the OCI layout
	Cache  string `json:"cache"`  // a folder that the next build finds as this one leaves it

	Function  *functionMessage  `json:"function,omitempty"`
	Image     string            `json:"image,omitempty"` // what the image is going to be called; for information
	Platforms []string          `json:"platforms"`       // OS/ARCH[/VARIANT], at least one
	BaseImage string            `json:"baseImage,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	BuildEnv  map[string]string `json:"buildEnv,omitempty"` // func.yaml's build.buildEnvs

	Dockerfile *dockerfileMessage `json:"dockerfile,omitempty"` // only what the user has set

	SourceDateEpoch int64 `json:"sourceDateEpoch"` // seconds since 1970, for every time stamp in the image
	NoCache         bool  `json:"noCache,omitempty"`

	// Unknown is in no request but that of a check.
	Unknown string `json:"unknownField,omitempty"`
}

// functionMessage is what func.yaml says.
type functionMessage struct {
	Name    string `json:"name"`
	Runtime string `json:"runtime"`
}

type dockerfileMessage struct {
	File   string            `json:"file,omitempty"`
	Target string            `json:"target,omitempty"`
	Args   map[string]string `json:"args,omitempty"`
}

// answer is what a plugin writes to its standard output: one JSON object.
type answer struct {
	Protocol int    `json:"protocol"`
	Digest   string `json:"digest"` // of the manifest or index in the layout
}
