package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
)

// lookAfter is how long a container runs without becoming ready before its log
// is looked at for a reason.
const lookAfter = 10 * time.Second

// podTrouble looks at the newest pod: older ones belong to attempts that the
// deployment has replaced.
func podTrouble(e Evidence) *Finding {
	pod := newest(e.Pods)
	if pod == nil {
		return nil
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			// A node pool that grows on demand takes minutes: none of these is terminal.
			if k := lookupCause(atScheduling, c.Message); k != nil {
				return k.finding(c.Message)
			}
			return &Finding{
				Code: Unschedulable, Waiting: "no node has room: " + c.Message,
				Cause: "no node can take its pod: " + c.Message,
				Fix:   "free or add nodes, or ask for less in deploy.options.resources of func.yaml",
			}
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		if k := lookupCause(atEviction, pod.Status.Reason+" "+pod.Status.Message); k != nil {
			return k.finding(pod.Status.Message)
		}
	}
	if f := creationTrouble(e, pod); f != nil {
		return f
	}
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	// The container with the port first, then its sidecars; queue-proxy suffers when they do.
	user := knative.UserContainerName(pod.Spec)
	rank := func(s corev1.ContainerStatus) int { return 2*btoi(s.Name == knative.QueueProxy) - btoi(s.Name == user) }
	slices.SortStableFunc(statuses, func(a, b corev1.ContainerStatus) int { return rank(a) - rank(b) })
	for _, s := range statuses {
		if f := containerTrouble(e, pod, s); f != nil {
			return f
		}
	}
	return silent(e, pod)
}

// creationTrouble is for a pod whose containers wait for a volume or for the network:
// only events say so.
func creationTrouble(e Evidence, pod *corev1.Pod) *Finding {
	creating := slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.State.Waiting != nil && s.State.Waiting.Reason == containerCreating
	})
	// Once images are pulled, volumes and the network are there: older events are history.
	if !creating || eventMessage(e, pod.Name, "Pulling", "") != "" || eventMessage(e, pod.Name, "Pulled", "") != "" {
		return nil
	}
	for _, reason := range []string{"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"} {
		message := eventMessage(e, pod.Name, reason, "")
		if k := lookupCause(atCreation, message); message != "" && k != nil {
			return k.finding(message)
		}
	}
	return nil
}

// containerCreating is the kubelet's word for all that comes before the first start.
const containerCreating = "ContainerCreating"

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func containerTrouble(e Evidence, pod *corev1.Pod, s corev1.ContainerStatus) *Finding {
	if w := s.State.Waiting; w != nil {
		if f := waitingTrouble(e, pod, s, w); f != nil {
			return f
		}
	}
	ended := s.State.Terminated
	if ended == nil {
		ended = s.LastTerminationState.Terminated
	}
	if ended == nil || (s.State.Running != nil && s.Ready && s.RestartCount == 0) {
		return nil
	}
	return endTrouble(e, pod, s, ended)
}

// waitingTrouble knows the reasons that the kubelet gives for a container that
// does not start (k8s.io/kubernetes pkg/kubelet/images/types.go and
// pkg/kubelet/kuberuntime/kuberuntime_container.go).
func waitingTrouble(e Evidence, pod *corev1.Pod, s corev1.ContainerStatus, w *corev1.ContainerStateWaiting) *Finding {
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "ErrImageNeverPull", "InvalidImageName", "SignatureValidationFailed":
		f := &Finding{
			Code: ImagePull, Terminal: true, Settle: settlePull, Waiting: w.Reason,
			Cause: "the image cannot be pulled: " + shorten(w.Message), Fix: pullFix(w.Message, pod.Spec.ImagePullSecrets),
		}
		if w.Message == "" {
			f.Cause = "the image cannot be pulled: " + s.Image
		}
		// The back-off's own message has nothing to say; an event has. There are
		// later ones of the same reason that only repeat the name of the state.
		if w.Reason == "ImagePullBackOff" {
			if m := eventMessage(e, pod.Name, "Failed", "failed to pull image"); m != "" {
				f.Cause, f.Fix = "the image cannot be pulled: "+shorten(m), pullFix(m, pod.Spec.ImagePullSecrets)
			}
		}
		if w.Reason == "InvalidImageName" {
			f.Settle = settleShort
		}
		if mentions(f.Cause, "no match for platform", "no matching manifest") {
			f.Code, f.Settle = WrongArchitecture, settleShort
			f.Cause, f.Fix = "the image has no variant for the node's architecture: "+shorten(w.Message), architectureFix
		}
		return f
	case "CreateContainerConfigError":
		return &Finding{
			Code: ConfigMissing, Terminal: true, Settle: settleShort, Waiting: w.Reason + ": " + w.Message,
			Cause: "its configuration is incomplete: " + w.Message,
			Fix:   "create what is missing, or correct run.envs and run.volumes in func.yaml",
		}
	case "CreateContainerError", "RunContainerError", "StartError", "PostStartHookError":
		log := e.logOf(pod, s.Name)
		if f := startTrouble(w.Message, log); f != nil {
			return f
		}
		return &Finding{
			Code: BadCommand, Terminal: true, Settle: settleShort, Waiting: w.Reason,
			Cause: "the container cannot be started: " + shorten(w.Message), Fix: "check the image's entrypoint and command", Log: log,
		}
	}
	return nil
}

const architectureFix = "build it for the nodes' architecture, e.g. `kn-lite deploy {Platforms} linux/amd64`,\nor for several: {Platforms} linux/amd64,linux/arm64"

// startTrouble knows what the kernel says of a program it cannot run. Only the
// words of the runtime or the log tell these apart.
func startTrouble(message string, log []string) *Finding {
	all := message + "\n" + strings.Join(log, "\n")
	switch {
	case mentions(all, "exec format error"):
		return &Finding{
			Code: WrongArchitecture, Terminal: true, Settle: 0, Waiting: "exec format error",
			Cause: "the program in the image is for another processor architecture than the node (exec format error)", Fix: architectureFix,
		}
	case mentions(message, "executable file not found", "no such file or directory"):
		return &Finding{
			Code: BadCommand, Terminal: true, Settle: settleShort, Waiting: "the program is not in the image",
			Cause: "the program that the image should start is not in it: " + shorten(message), Fix: "check the image's entrypoint and command",
		}
	case mentions(message, "permission denied"):
		return &Finding{
			Code: BadCommand, Terminal: true, Settle: settleShort, Waiting: "the program may not be executed",
			Cause: "the program that the image should start is not executable: " + shorten(message), Fix: "set its mode to 0755 in the image",
		}
	}
	return nil
}

// endTrouble is for a container that has ended at least once.
func endTrouble(e Evidence, pod *corev1.Pod, s corev1.ContainerStatus, ended *corev1.ContainerStateTerminated) *Finding {
	// Only of a container that did not start is the message the runtime's. Else
	// it is what Knative asks for: the end of the program's own log.
	log := e.logOf(pod, s.Name)
	runtime, said := "", append(slices.Clip(log), ended.Message)
	if ended.Reason == "StartError" || ended.Reason == "ContainerCannotRun" {
		runtime, said = ended.Message, log
	}
	if f := startTrouble(runtime, said); f != nil {
		return f
	}
	times := s.RestartCount
	if s.State.Terminated != nil || s.State.Waiting != nil {
		times++
	}
	whose := "its container"
	if s.Name != knative.UserContainerName(pod.Spec) {
		whose = fmt.Sprintf("its container %s, beside the one that gets the requests,", s.Name)
	}
	f := &Finding{
		Code: Crash, Settle: 0, Log: log,
		// Once may be bad luck; the kubelet starts it again at once, so a
		// second time tells within seconds.
		Terminal: s.RestartCount >= 1 && s.State.Running == nil,
		Waiting:  fmt.Sprintf("%s ended with exit code %d, %s", whose, ended.ExitCode, plural(times, "time")),
		Cause:    fmt.Sprintf("%s crashes: exit code %d, %s", whose, ended.ExitCode, plural(times, "time")),
		Fix:      "the program must start and keep running; try it with `kn-lite run`, or run the image locally",
	}
	switch {
	case s.Name == knative.QueueProxy:
		f.Terminal = false
		f.Cause = fmt.Sprintf("Knative's queue-proxy ended with exit code %d", ended.ExitCode)
		f.Fix = "its log tells more: `kubectl logs -c queue-proxy`"
	case wasOOM(s):
		f.Code, f.Waiting = OutOfMemory, "out of memory"
		f.Cause = whose + " was killed for using more memory than it may"
		f.Fix = memoryFix
	case eventMessage(e, "", "Unhealthy", "Liveness probe failed") != "":
		f.Code, f.Waiting = Unhealthy, "its liveness probe fails"
		f.Cause = "its liveness probe fails, so it is restarted: " + eventMessage(e, "", "Unhealthy", "Liveness probe failed")
		f.Fix = "check deploy.healthEndpoints.liveness in func.yaml"
	case eventMessage(e, "", "Unhealthy", "Startup probe failed") != "":
		f.Code, f.Waiting = Unhealthy, "its startup probe does not succeed"
		f.Cause = "its startup probe does not succeed in the time that it allows, so it is restarted: " + eventMessage(e, "", "Unhealthy", "Startup probe failed")
		f.Fix = "check the path and port of the startup probe, or allow more time: periodSeconds x failureThreshold"
	case ended.ExitCode == sigkilled && limited(pod, s.Name):
		// The kubelet does not always learn who sent the signal.
		f.Code, f.Waiting = OutOfMemory, "killed, most likely out of memory"
		f.Cause = "its container was killed (exit code 137), most likely for using more memory than it may"
		f.Fix = memoryFix
	case ended.ExitCode == 0:
		f.Code = Exited
		f.Cause = "its program ends by itself (exit code 0) instead of serving"
		f.Fix = "a Knative service must keep listening on $PORT; a task that ends belongs into a Job"
	case ended.ExitCode == 126 || ended.ExitCode == 127:
		f.Code = BadCommand
		f.Cause = fmt.Sprintf("its command cannot be run (exit code %d)", ended.ExitCode)
		f.Fix = "check the image's entrypoint and command"
	default:
		f.Fix = "correct the program; the end of its log tells why"
	}
	return f
}

// sigkilled is the exit code of a process that ended by SIGKILL.
const sigkilled = 137

const memoryFix = "raise deploy.options.resources.limits.memory in func.yaml, or use less"

// wasOOM looks at this end and the one before: of two in a row the kubelet may
// know the reason of one only.
func wasOOM(s corev1.ContainerStatus) bool {
	for _, t := range []*corev1.ContainerStateTerminated{s.State.Terminated, s.LastTerminationState.Terminated} {
		if t != nil && t.Reason == "OOMKilled" {
			return true
		}
	}
	return false
}

func limited(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return c.Name == container && !c.Resources.Limits.Memory().IsZero()
	})
}

// silent is for a container that runs and does not become ready: it listens
// elsewhere, not yet, or says no to its probe.
func silent(e Evidence, pod *corev1.Pod) *Finding {
	since, running := runningSince(pod)
	if !running || isReady(pod) {
		return nil
	}
	if e.Now.Sub(since) < lookAfter {
		return nil
	}
	want := port(e.Object)
	f := &Finding{
		Code: WrongPort, Settle: settleShort, Log: e.Log,
		Waiting: fmt.Sprintf("its container runs, and does not answer on port %d yet", want),
		Cause:   fmt.Sprintf("its container runs, and nothing answers on port %d", want),
		Fix:     fmt.Sprintf("listen on $PORT (%d) on all addresses, or say where it listens with {Port};\nif it needs longer to start, give it longer with {Timeout}", want),
	}
	if path := readinessPath(e); path != "" {
		f.Code = NotReady
		f.Waiting = fmt.Sprintf("its readiness probe GET %s does not succeed yet", path)
		f.Cause = fmt.Sprintf("its readiness probe GET %s on port %d does not succeed", path, want)
		f.Fix = "check deploy.healthEndpoints.readiness in func.yaml, and that it listens on $PORT"
	}
	if other := listening(e.Log); other != 0 && other != want {
		f.Code, f.Terminal = WrongPort, true
		f.Cause = fmt.Sprintf("its container listens on port %d, and Knative sends requests to port %d", other, want)
		f.Fix = fmt.Sprintf("let it listen on $PORT (%d), or deploy with {Port} %d", want, other)
	}
	return f
}

func runningSince(pod *corev1.Pod) (time.Time, bool) {
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == knative.UserContainerName(pod.Spec) && s.State.Running != nil {
			return s.State.Running.StartedAt.Time, true
		}
	}
	return time.Time{}, false
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func readinessPath(e Evidence) string {
	if e.Object == nil {
		return ""
	}
	c := knative.UserContainer(e.Object.Spec.Containers)
	if c == nil || c.ReadinessProbe == nil || c.ReadinessProbe.HTTPGet == nil {
		return ""
	}
	return c.ReadinessProbe.HTTPGet.Path
}

// listeningLine is how servers say where they listen; the words differ, a
// colon or "port" before the number does not.
var listeningLine = regexp.MustCompile(`(?i)\b(?:listen\w*|serv\w*|start\w*|running|bound|ready)\b.*?(?::|\bport\b[\s=:]*)(\d{2,5})\b`)

// listening is the port that the log's last such line names, or 0.
func listening(log []string) int32 {
	for _, line := range slices.Backward(log) {
		if m := listeningLine.FindStringSubmatch(line); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n > 0 && n < 1<<16 {
				return int32(n)
			}
		}
	}
	return 0
}

// pullFix tells the usual reasons apart by what the registry's answer became
// in the kubelet's message, the only place where it is told. Statuses are
// looked for by their words: their digits are in many a digest.
func pullFix(message string, secrets []corev1.LocalObjectReference) string {
	var names []string
	for _, s := range secrets {
		names = append(names, s.Name)
	}
	switch {
	case mentions(message, "toomanyrequests", "too many requests", "rate limit"):
		return "the registry limits how often it is pulled from: wait, give the nodes credentials (deploy.imagePullSecret in func.yaml),\n" +
			"or push the image to a registry of your own"
	case mentions(message, "unauthorized", "forbidden", "authorization failed", "denied", "authentication required", "no basic auth"):
		if len(names) == 0 {
			return "the nodes have no credentials for this registry: create a secret with\n" +
				"`kubectl create secret docker-registry NAME --docker-server=… --docker-username=… --docker-password=…`\n" +
				"and name it in deploy.imagePullSecret of func.yaml, or add it to the service account"
		}
		return "the registry does not accept the credentials in the pull secret " + strings.Join(names, ", ")
	case mentions(message, "not found", "manifest unknown"):
		return "check the reference: does the image exist under this name, and do the nodes see the same registry as this machine?"
	case mentions(message, "x509", "certificate"):
		return "the nodes do not trust the registry's certificate; their container runtime has to be told"
	case mentions(message, "server gave HTTP response to HTTPS client"):
		return "the registry speaks plain HTTP and the nodes expect TLS; their container runtime has to be told"
	case mentions(message, "no such host", "connection refused", "i/o timeout", "deadline exceeded"):
		return "the nodes do not reach the registry; does its name mean the same to them as to this machine?"
	}
	return "check that the nodes can reach the registry and that the image exists"
}

// eventMessage is the message of the newest event with that reason whose text
// mentions something; object "" is any.
func eventMessage(e Evidence, object, reason, mention string) string {
	best, text := time.Time{}, ""
	for _, ev := range e.Events {
		if ev.Reason != reason || (object != "" && ev.InvolvedObject.Name != object) || !mentions(ev.Message, mention) {
			continue
		}
		at := ev.LastTimestamp.Time
		if at.IsZero() {
			at = ev.EventTime.Time
		}
		if text == "" || at.After(best) {
			best, text = at, ev.Message
		}
	}
	return text
}

// mentions reports whether text contains any of the phrases, in any case.
func mentions(text string, phrases ...string) bool {
	lower := strings.ToLower(text)
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(lower, strings.ToLower(p)) })
}

// shorten keeps the end of a chain of wrapped messages within a few lines: the
// cause stands last.
func shorten(message string) string {
	const most = 400
	message = strings.Join(strings.Fields(message), " ")
	if len(message) <= most {
		return message
	}
	return "… " + message[len(message)-most:]
}
