package deploy

import (
	"slices"
	"time"
)

// source is where a cluster puts the words that a known cause is found by.
type source int

const (
	atAdmission  source = iota // why a pod or a deployment could not be created
	atScheduling               // the condition PodScheduled
	atCreation                 // events of a pod whose containers are being created
	atEviction                 // a pod's own reason and message once it has failed
	atRoute                    // reason and message of the service's condition RoutesReady
)

// knownCause is a cause that only the words of the API server, the scheduler, the
// kubelet or Knative tell apart.
type knownCause struct {
	at      source
	phrases []string // any of them, in any case
	code    Code
	cause   string // what their words follow
	waiting string
	fix     string
	// Whether it ends a deploy, and after how long; else it may cure itself.
	terminal bool
	settle   time.Duration
}

// finding is the cause with the cluster's own words. A policy's are shown whole; of
// the kubelet's wrapped errors the end says most.
func (k *knownCause) finding(message string) *Finding {
	if k.at == atCreation {
		message = shorten(message)
	}
	return &Finding{
		Code: k.code, Waiting: k.waiting, Cause: k.cause + ": " + message, Fix: k.fix,
		Terminal: k.terminal, Settle: k.settle,
	}
}

// lookupCause returns the first known cause whose words are in the message, or nil.
func lookupCause(at source, message string) *knownCause {
	for _, k := range knownCauses() {
		if k.at == at && mentions(message, k.phrases...) {
			return &k
		}
	}
	return nil
}

// knownCauses lists them, the more particular before the more general.
func knownCauses() []knownCause { return slices.Concat(refusedPods(), stuckPods()) }

// refusedPods are the causes of a pod that is never created.
func refusedPods() []knownCause {
	const notCreated = "its pods may not be created"
	return []knownCause{
		{
			at: atAdmission, phrases: []string{"exceeded quota"}, code: Quota, cause: notCreated, waiting: "the namespace's quota is used up",
			fix:      "see `kubectl describe resourcequota`; lower deploy.options.resources in func.yaml or {Scale.Min}, remove old revisions, or ask for more",
			terminal: true, settle: settleLong,
		},
		{
			at: atAdmission, phrases: []string{"violates PodSecurity"}, code: PodSecurity, cause: notCreated, waiting: "the namespace's pod security level refuses its pods",
			fix: "set what the message names in the container's security context (for level restricted: runAsNonRoot, allowPrivilegeEscalation: false,\n" +
				"capabilities drop ALL, seccompProfile RuntimeDefault), or change the namespace's label pod-security.kubernetes.io/enforce",
			terminal: true, settle: settleLong,
		},
		{
			at: atAdmission, phrases: []string{"usage per Container is", "usage per Pod is", "limit to request ratio per"}, code: LimitRange,
			cause: notCreated, waiting: "its resources are outside the namespace's limit range",
			fix:      "see `kubectl describe limitrange`, and set deploy.options.resources in func.yaml to what it allows",
			terminal: true, settle: settleLong,
		},
		{
			at: atAdmission, phrases: []string{"error looking up service account"}, code: NoServiceAccount, cause: notCreated, waiting: "its service account is missing",
			fix:      "create it with `kubectl create serviceaccount NAME`, or correct deploy.serviceAccountName in func.yaml",
			terminal: true, settle: settleLong,
		},
		{
			at: atAdmission, phrases: []string{"RuntimeClass"}, code: NoClass, cause: notCreated, waiting: "its runtime class is missing",
			fix: "see `kubectl get runtimeclass` for those that there are", terminal: true, settle: settleLong,
		},
		{
			at: atAdmission, phrases: []string{"no PriorityClass with name"}, code: NoClass, cause: notCreated, waiting: "its priority class is missing",
			fix: "see `kubectl get priorityclass` for those that there are", terminal: true, settle: settleLong,
		},
		{
			at: atAdmission, phrases: []string{"failed calling webhook"}, code: WebhookAway, cause: "an admission webhook does not answer", waiting: "an admission webhook does not answer",
			fix: "it is the webhook that has to be mended, not this service: do the pods of the service that the message names run?\n" +
				"See `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`",
			terminal: true, settle: settleLong,
		},
	}
}

// stuckPods are the causes of a pod that does not start or does not stay, and of a route that is not ready.
func stuckPods() []knownCause {
	const noNode = "no node can take its pod"
	const noVolume = "its volumes cannot be mounted"
	return []knownCause{
		{
			at: atScheduling, phrases: []string{"unbound immediate PersistentVolumeClaims"}, code: VolumeClaim, cause: noNode, waiting: "its volume claim is not bound",
			fix: "see `kubectl describe pvc`: is there a storage class, and a volume that fits?",
		},
		{
			at: atScheduling, phrases: []string{`persistentvolumeclaim "`}, code: VolumeClaim, cause: noNode, waiting: "its volume claim is missing",
			fix: "create the claim, or correct run.volumes in func.yaml",
		},
		{
			// Schedulers before 1.35 name the taint.
			at: atScheduling, phrases: []string{"node.kubernetes.io/disk-pressure", "node.kubernetes.io/memory-pressure", "node.kubernetes.io/pid-pressure"},
			code: NodePressure, cause: noNode, waiting: "the nodes are short of disk, memory or processes",
			fix: "see `kubectl describe node`; free space on the nodes, e.g. by removing images and logs, or add nodes",
		},
		{
			at: atScheduling, phrases: []string{"Insufficient ", "Too many pods"}, code: Unschedulable, cause: noNode, waiting: "no node has room",
			fix: "free or add nodes, or ask for less in deploy.options.resources of func.yaml",
		},
		{
			at: atScheduling, phrases: []string{"node affinity/selector", "pod affinity rules", "topology spread"}, code: NoNodeMatches, cause: noNode,
			waiting: "no node matches its node selector or affinity",
			fix:     "see `kubectl get nodes --show-labels`, and correct the node selector or affinity, or label a node",
		},
		{
			at: atScheduling, phrases: []string{"untolerated taint"}, code: NoNodeMatches, cause: noNode, waiting: "the nodes have taints that it does not tolerate",
			fix: "`kubectl describe nodes` names the taints: one of node.kubernetes.io/ means that the node is in trouble, e.g. short of disk;\n" +
				"for another, add a toleration or remove it with `kubectl taint node NODE KEY-`",
		},
		{
			at: atCreation, phrases: []string{"references non-existent"}, code: ConfigMissing, cause: noVolume, waiting: "a key of a secret or config map is missing",
			fix: "add the key to the secret or config map that the message names, or correct run.volumes in func.yaml", terminal: true, settle: settleLong,
		},
		{
			at: atCreation, phrases: []string{`secret "`, `configmap "`}, code: ConfigMissing, cause: noVolume, waiting: "a secret or config map is missing",
			fix: "create what is missing, or correct run.volumes in func.yaml", terminal: true, settle: settleLong,
		},
		{
			at: atCreation, phrases: []string{"MountVolume", "AttachVolume", "Multi-Attach error", "Unable to attach or mount volumes"}, code: VolumeClaim, cause: noVolume,
			waiting: "its volumes cannot be mounted yet",
			fix:     "see `kubectl describe pod`: is the volume in use by another node, and does the nodes' storage driver run?",
		},
		{
			at: atCreation, phrases: []string{"create pod sandbox"}, code: NoSandbox, cause: "the node cannot set its pod up", waiting: "the node cannot set its pod up yet",
			fix: "it is the node that has to be mended, not this service: its network plugin and its container runtime say more in their logs",
		},
		{
			at: atEviction, phrases: []string{"Evicted", "low on resource"}, code: NodePressure, cause: "its pod was evicted from its node", waiting: "its pod was evicted",
			fix: "free disk or memory on the nodes, or request what it needs in deploy.options.resources.requests of func.yaml",
		},
		{
			// Its reason, RevisionMissing, is also that of a revision which is not ready.
			at: atRoute, phrases: []string{"referenced in traffic not found"}, code: Failed,
			fix: "its split names a revision that is gone: `kn-lite traffic show` has it, and `kn-lite traffic split` writes another",
		},
		{
			at: atRoute, phrases: []string{"CertificateNotReady", "CertificateNotOwned", "CertificateProvisionFailed"}, code: Failed,
			fix: "its TLS certificate is not there yet: see `kubectl get certificates.networking.internal.knative.dev`, and the logs of the certificate controller (cert-manager)",
		},
	}
}
