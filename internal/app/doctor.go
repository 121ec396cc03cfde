package app

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/doctor"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sandbox"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// DiagnoseRequest says what is looked at: the working folder, and the cluster and the
// registry that a deploy from there would use.
type DiagnoseRequest struct {
	Namespace string // as in DeployRequest
}

// Diagnose looks whether a deploy has what it needs. It changes nothing. What it finds
// is no error.
func (a *App) Diagnose(ctx context.Context, r DiagnoseRequest) ([]doctor.Finding, error) {
	d := &diagnosis{App: a, r: r}
	d.project, d.projectErr = function.Load(".")
	if d.projectErr != nil {
		d.project = nil
	}
	if _, d.settingsErr = a.Settings(); d.settingsErr == nil {
		d.builder = d.builderHere()
	}
	return doctor.Run(ctx, append(d.machine(), d.remote()...), doctor.Limit)
}

// Names of checks that others come after.
const (
	checkSettings   = "settings"
	checkKubeconfig = "kubeconfig"
	checkAPIServer  = "api-server"
	checkKnative    = "knative"
	checkNamespace  = "namespace"
	checkRegistry   = "registry"
)

// diagnosis is one Diagnose.
type diagnosis struct {
	*App
	r           DiagnoseRequest
	project     *function.Function // nil: there is none, or none that can be read
	projectErr  error
	settingsErr error
	builder     string // that would build this folder; "" is not known

	client *cluster.Client // once kubeconfig is OK
	about  *cluster.About  // once api-server is OK
}

func (d *diagnosis) machine() []doctor.Check {
	return []doctor.Check{
		{Name: checkSettings, Ask: d.settings},
		{Name: function.File, Ask: d.functionFile},
		{Name: "toolchain", Ask: d.toolchain},
		{Name: "sandbox", Ask: d.sandbox},
		{Name: "space", Ask: d.space},
	}
}

func (d *diagnosis) remote() []doctor.Check {
	return []doctor.Check{
		{Name: checkRegistry, After: checkSettings, Ask: d.registry},
		{Name: checkKubeconfig, After: checkSettings, Ask: d.kubeconfig},
		{Name: checkAPIServer, After: checkKubeconfig, Ask: d.apiServer},
		{Name: "clock", After: checkAPIServer, Ask: func(context.Context) doctor.Finding {
			return doctor.Clock(d.about.Date, d.about.Sent, d.about.Received)
		}},
		{Name: checkKnative, After: checkAPIServer, Ask: d.knative},
		{Name: checkNamespace, After: checkAPIServer, Ask: d.namespace},
		{Name: "rights", After: checkKnative, Ask: d.rights},
		{Name: "references", After: checkKnative, Ask: d.references},
		{Name: "pull", After: checkAPIServer, Ask: d.pull},
		{Name: "ingress", After: checkKnative, Ask: d.ingress},
		{Name: "route", After: checkKnative, Ask: d.route},
	}
}

func (d *diagnosis) settings(context.Context) doctor.Finding {
	if d.settingsErr != nil {
		return doctor.Failed(d.settingsErr, "see `kn-lite config view`")
	}
	cfg, err := d.Settings()
	if err != nil {
		return doctor.Failed(err, "see `kn-lite config view`")
	}
	if len(cfg.Warnings) > 0 {
		return doctor.Warned("`kn-lite config view` shows what is read", "%s", strings.Join(cfg.Warnings, "; "))
	}
	if _, err := os.Stat(cfg.File); err != nil {
		return doctor.Passed("there is no file, and none is needed")
	}
	return doctor.Passed("%s", cfg.File)
}

func (d *diagnosis) functionFile(context.Context) doctor.Finding {
	switch {
	case fault.KindOf(d.projectErr) == fault.NotFound:
		return doctor.Skipped("there is none in this folder")
	case d.projectErr != nil:
		return doctor.Failed(d.projectErr, "`kn-lite func validate` lists all that is wrong")
	case len(d.project.Warnings) > 0:
		var all []string
		for _, w := range d.project.Warnings {
			all = append(all, w.String())
		}
		return doctor.Warned("see `kn-lite func validate`", "%s", strings.Join(all, "; "))
	}
	return doctor.Passed("function %s", d.project.Name)
}

// builderHere returns the name of the builder that would build this folder, "" where
// that cannot be said.
func (d *diagnosis) builderHere() string {
	if d.project == nil {
		return ""
	}
	request := BuildRequest{Dir: ".", Project: d.project}
	request.Namespace = d.r.Namespace
	name, err := d.builderName(&request)
	if err != nil {
		return ""
	}
	asked, err := d.builderRequest(&request)
	if err != nil {
		return ""
	}
	chosen, err := d.Builders().Choose(name, asked)
	if err != nil {
		return ""
	}
	return chosen.Name()
}

func (d *diagnosis) toolchain(context.Context) doctor.Finding {
	has := func(program string) bool {
		if program == "javac" && d.Env("JAVA_HOME") != "" {
			return true
		}
		if program == "gradle" {
			if _, err := os.Stat("gradlew"); err == nil {
				return true
			}
		}
		_, err := exec.LookPath(program)
		return err == nil
	}
	switch {
	case d.project == nil:
		return doctor.Toolchain("", has)
	case d.builder != "" && d.builder != builder.Layers:
		return doctor.Skipped("the builder %s needs none of this machine", d.builder)
	case !build.Knows(d.project.Runtime):
		return doctor.Skipped("func.yaml names no runtime that has one")
	}
	return doctor.Toolchain(build.LanguageOf(d.project.Runtime), has)
}

// sandbox tries what builds of Dockerfiles and the embedded platform do first.
func (d *diagnosis) sandbox(ctx context.Context) doctor.Finding {
	needed := d.builder == builder.Dockerfile
	if runtime.GOOS != "linux" && !needed {
		return doctor.Skipped("it needs Linux; Dockerfiles are built in the cluster")
	}
	box, err := sandbox.Open(ctx, sandbox.Options{Dir: settings.CacheDir(d.Env), Temp: d.Env("TMPDIR"), Path: d.Env("PATH")})
	if err != nil {
		found := doctor.Failed(err, "build in the cluster: {Builder} cluster")
		if !needed {
			found.Result = doctor.Warn
		}
		return found
	}
	identity, why := box.Identity()
	if err := box.Close(ctx); err != nil {
		return doctor.Failed(err, "look at the folder that it names")
	}
	if identity == sandbox.Single {
		return doctor.Warned("give this user a range of ids in /etc/subuid and /etc/subgid, and install newuidmap (package uidmap)",
			"it has one user only: programs that change users or owners see no effect (%s)", why)
	}
	return doctor.Passed("permitted, with users (%s)", identity)
}

func (d *diagnosis) space(context.Context) doctor.Finding {
	dir := settings.CacheDir(d.Env)
	if dir == "" {
		return doctor.Failed(fault.New(fault.Usage, "doctor.space", "", "there is no place for what builds leave"), "set HOME or XDG_CACHE_HOME")
	}
	at := dir
	for {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at) // what is not there yet will be made there
	}
	free, known := doctor.Free(at)
	if !known {
		return doctor.Skipped("what is free at %s is not known", dir)
	}
	return doctor.Space(dir, free)
}

func (d *diagnosis) registry(ctx context.Context) doctor.Finding {
	request := CheckRegistryRequest{Namespace: d.r.Namespace}
	if d.project == nil {
		cfg, err := d.Settings()
		if err != nil {
			return doctor.Failed(err, "see `kn-lite config view`")
		}
		prefix := cfg.Registry("")
		if prefix == "" {
			return doctor.Skipped("no function in this folder, and no registry in the settings")
		}
		ref, err := registry.ParseTag(prefix + "/function")
		if err != nil {
			return doctor.Failed(err, "see `kn-lite config explain registry`")
		}
		request.Name = ref.Registry
	} else {
		tag, err := d.ImageTag("", d.project, d.r.Namespace)
		if err != nil {
			return doctor.Failed(err, "name one: KN_LITE_REGISTRY=REGISTRY")
		}
		request.Name = tag
	}
	check, err := d.CheckRegistry(ctx, request)
	if err == nil {
		err = check.Refused()
	}
	if err != nil {
		return doctor.Failed(err, "see `kn-lite registry check "+request.Name+"`")
	}
	if check.Repository == "" {
		return doctor.Passed("%s lets you in", check.Host)
	}
	return doctor.Passed("%s/%s can be pushed to", check.Host, check.Repository)
}

func (d *diagnosis) kubeconfig(context.Context) doctor.Finding {
	namespace, err := d.Namespace(d.r.Namespace, d.project)
	if err != nil {
		return doctor.Failed(err, "see `kn-lite config view`")
	}
	client, err := d.Cluster(namespace)
	if fault.KindOf(err) == fault.NotFound {
		// Nobody has to have a cluster; what is below needs one.
		found := doctor.Failed(err, "start a platform on this machine: kn-lite local up -d")
		found.Result, found.Detail = doctor.Skip, "no cluster is configured: "+found.Detail
		return found
	}
	if err != nil {
		return doctor.Failed(err, "`kubectl config view` shows what is read")
	}
	d.client = client
	if client.Context() == "" {
		return doctor.Passed("the pod's own account, namespace %s", client.Namespace())
	}
	return doctor.Passed("context %s, namespace %s", client.Context(), client.Namespace())
}

func (d *diagnosis) apiServer(ctx context.Context) doctor.Finding {
	about, err := d.client.About(ctx)
	if err != nil {
		return doctor.Failed(err, "check the server of the kubeconfig, and the network")
	}
	d.about = about
	if about.Version == "" {
		return doctor.Passed("%s answers", d.client.Server())
	}
	return doctor.Passed("%s, version %s", d.client.Server(), about.Version)
}

func (d *diagnosis) knative(ctx context.Context) doctor.Finding {
	version, err := d.client.KnativeVersion(ctx)
	switch {
	case err != nil:
		return doctor.Failed(err, "install Knative Serving: https://knative.dev/docs/install/")
	case version == "":
		return doctor.Passed("Knative Serving is there")
	}
	return doctor.Passed("Knative Serving %s", version)
}

func (d *diagnosis) namespace(ctx context.Context) doctor.Finding {
	if err := d.client.CheckNamespace(ctx); err != nil {
		return doctor.Failed(err, "create it: kubectl create namespace "+d.client.Namespace())
	}
	return doctor.Passed("%s", d.client.Namespace())
}

// rights asks for what checkCluster requires before a deploy.
func (d *diagnosis) rights(ctx context.Context) doctor.Finding {
	write := "create"
	name := "kn-lite-doctor"
	if d.project != nil {
		name = d.project.Name
	}
	// The deploy's own first request: its refusal says most.
	svc, err := d.client.FindService(ctx, name)
	if err != nil {
		return doctor.Failed(err, "ask for a role with that right")
	}
	if svc != nil {
		write = "update"
	}
	needed, helpful := d.missing(ctx, deployRights(write, true)), d.missing(ctx, explainingRights())
	return doctor.Rights(d.client.Namespace(), needed, helpful)
}

func (d *diagnosis) missing(ctx context.Context, rights []cluster.Right) []string {
	var out []string
	for _, r := range d.client.MissingRights(ctx, rights) {
		out = append(out, r.Verb+" "+r.Resource)
	}
	return out
}

// references looks for the objects that the function's revision would need.
func (d *diagnosis) references(ctx context.Context) doctor.Finding {
	if d.project == nil {
		return doctor.Skipped("no function in this folder")
	}
	project, err := d.projectSpec(d.project)
	if err != nil {
		return doctor.Failed(err, "see `kn-lite func validate`")
	}
	var warnings []string
	err = deploy.Preflight(ctx, d.client, deploy.Spec{Service: d.project.Name, Project: project}, func(text string) { warnings = append(warnings, text) })
	switch {
	case err != nil:
		return doctor.Failed(err, "create what is missing")
	case len(warnings) > 0:
		return doctor.Warned("create it: kubectl create secret docker-registry NAME -n "+d.client.Namespace(), "%s", strings.Join(warnings, "; "))
	}
	return doctor.Passed("what func.yaml refers to is in the cluster")
}

func (d *diagnosis) pull(context.Context) doctor.Finding {
	if d.project == nil {
		return doctor.Skipped("no function in this folder")
	}
	tag, err := d.ImageTag("", d.project, d.r.Namespace)
	if err != nil {
		return doctor.Skipped("no registry is known")
	}
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return doctor.Skipped("no registry is known")
	}
	return doctor.Pull(ref.Registry, d.client.Server())
}

func (d *diagnosis) ingress(ctx context.Context) doctor.Finding {
	network, err := d.client.KnativeSettings(ctx, "config-network")
	if err != nil {
		return doctor.Failed(err, "look at the ConfigMap config-network in namespace knative-serving")
	}
	domain, err := d.client.KnativeSettings(ctx, "config-domain")
	if err != nil {
		return doctor.Failed(err, "look at the ConfigMap config-domain in namespace knative-serving")
	}
	return doctor.Ingress(network, domain)
}

// route connects to a service of the namespace as `invoke` does, and sends nothing.
func (d *diagnosis) route(ctx context.Context) doctor.Finding {
	services, err := d.client.ListServices(ctx, false)
	if err != nil {
		return doctor.Skipped("the services of the namespace may not be listed")
	}
	var name string
	var at *url.URL
	for i := range services {
		svc := &services[i]
		own := d.project != nil && svc.Name == d.project.Name
		if svc.Status.URL != nil && !ingress.IsPrivate(svc.Status.URL.URL()) && (at == nil || own) {
			name, at = svc.Name, svc.Status.URL.URL()
		}
	}
	if at != nil {
		return d.connect(ctx, name, at)
	}
	return doctor.Skipped("no service in the namespace has a URL to connect to")
}

func (d *diagnosis) connect(ctx context.Context, service string, at *url.URL) doctor.Finding {
	dialer, err := d.dialer(d.client, service, "")
	if err != nil {
		return doctor.Failed(err, "see `kn-lite config explain ingress`")
	}
	port := at.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[at.Scheme]
	}
	if port == "" {
		port = "80"
	}
	conn, err := dialer.Dial(ctx, "tcp", net.JoinHostPort(at.Hostname(), port))
	if err != nil {
		found := doctor.Failed(err, "set KN_LITE_INGRESS=HOST:PORT")
		found.Result = doctor.Warn // a deploy needs no way to it from here
		return found
	}
	if err := conn.Close(); err != nil {
		return doctor.Failed(err, "try again")
	}
	return doctor.Passed("%s can be reached at %s", at.Hostname(), dialer.Used)
}
